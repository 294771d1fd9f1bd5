"""Trying again when the network fails, and saying so when it keeps failing."""

import json
import logging
import time
from collections.abc import Callable
from typing import TypeVar

# HTTPError is the class of the network library that the client uses
from huggingface_hub.errors import (
    HTTPError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
)

from speechbrain_ext.console import DISK_FAULTS, printable

logger = logging.getLogger(__name__)

ATTEMPTS = 4
FIRST_WAIT_SECONDS = 2.0
Result = TypeVar("Result")

KINDS = (
    HTTPError,
    json.JSONDecodeError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
)
LOG_IN = "log in with `hf auth login`, set HF_TOKEN, or pass token=..."
MENDS = {
    400: "the hub does not accept what was sent; its answer says why",
    401: f"the hub does not know who you are: {LOG_IN}",
    403: "your token may not do that: take one with the right to write to "
    "this repository, or publish under a name of your own",
    404: "there is no such repository or revision, or your token may not see "
    "it: check the spelling and the token",
    409: "it is in conflict with what is there, a commit or a name: look at "
    "the repository, take another name or tag, or try again",
    429: "the hub asks to wait: try again later",
}
OFFLINE = "offline mode is on: unset HF_HUB_OFFLINE and run it again"
CONNECTION = (
    "check the connection, then run the same command again: what has arrived "
    "is not sent twice"
)


class PublishError(RuntimeError):
    """Publishing failed; the message says where and what can be done."""


def with_retries(
    action: Callable[[], Result], *, what: str, repo_id: str
) -> Result:
    """Do something over the network, a few times if need be.

    It is tried again when the connection fails and when the hub answers that
    it is at fault (429 and from 500 on); waiting times double.

    Arguments
    ---------
    action : callable
        Takes nothing. It is called up to `ATTEMPTS` times, so calling it
        twice must do the same as calling it once.
    what : str
        What it does, for messages.
    repo_id : str
        The repository, for messages.

    Returns
    -------
    result : object
        What `action` returns.

    Raises
    ------
    PublishError
        If it fails for good; errors that do not come from the network or
        the hub are raised as they are.

    Example
    -------
    >>> with_retries(lambda: 1, what="count", repo_id="me/model")
    1
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return action()
        except (OSError, RuntimeError, ValueError, HTTPError) as error:
            cause = find_cause(error)
            if cause is None:
                raise
            why, mend, transient = diagnose(cause)
            if attempt == ATTEMPTS or not transient:
                tries = f"{attempt} attempt{'s' if attempt > 1 else ''}"
                said = getattr(cause, "server_message", None)
                answer = f" The hub says: {printable(said)}" if said else ""
                raise PublishError(
                    f"{repo_id}: could not {what} ({why}, {tries}): {mend}."
                    f"{answer}"
                ) from error
        wait = FIRST_WAIT_SECONDS * 2 ** (attempt - 1)
        logger.warning(
            "%s: %s failed (%s), attempt %d of %d; again in %g s",
            *(repo_id, what, why, attempt, ATTEMPTS, wait),
        )
        time.sleep(wait)
    raise AssertionError("ATTEMPTS is below 1")


def find_cause(error: BaseException | None) -> BaseException | None:
    """Find the failure of network, hub or disk behind an error.

    Arguments
    ---------
    error : BaseException
        huggingface_hub wraps some failures in errors of its own.

    Returns
    -------
    cause : BaseException or None
        None if the error comes from elsewhere.
    """
    while error is not None:
        disk = isinstance(error, OSError) and error.errno in DISK_FAULTS
        if disk or isinstance(error, KINDS):
            return error
        error = error.__cause__ or error.__context__
    return None


def diagnose(cause: BaseException) -> tuple[str, str, bool]:
    """Say what happened, what can be done, and whether to try again.

    Arguments
    ---------
    cause : BaseException
        From `find_cause`.

    Returns
    -------
    why, mend : str, str
        For people.
    transient : bool
        Whether trying again may help.
    """
    response = getattr(cause, "response", None)
    if response is not None:
        code = response.status_code
        mend = CONNECTION if code >= 500 else "the hub refuses this"
        return (
            f"the hub answered {code}",
            MENDS.get(code, mend),
            code == 429 or code >= 500,
        )
    why = printable(f"{type(cause).__name__}: {' '.join(str(cause).split())}")
    if isinstance(cause, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set", OFFLINE, False
    if isinstance(cause, LocalTokenNotFoundError):
        return "you are not logged in", LOG_IN, False
    if getattr(cause, "errno", None) in DISK_FAULTS:
        room = "make room, or let HF_HOME and TMPDIR name other folders"
        return str(cause.strerror), room, False
    return why, CONNECTION, True
