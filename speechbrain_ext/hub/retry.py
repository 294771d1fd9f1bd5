"""Trying again when the network fails, and saying so when it keeps failing."""

import json
import logging
import time
from collections.abc import Callable
from typing import TypeVar

# HTTPError is the class of the network library that the client uses
from huggingface_hub import errors

from speechbrain_ext.console import DISK_FAULTS, FULL, printable

logger = logging.getLogger(__name__)

ATTEMPTS = 4
FIRST_WAIT_SECONDS = 2.0
Result = TypeVar("Result")
OFFLINE, LOGGED_OUT = (
    errors.OfflineModeIsEnabled,
    errors.LocalTokenNotFoundError,
)
KINDS = (errors.HTTPError, json.JSONDecodeError, OFFLINE, LOGGED_OUT)
LOG_IN = "log in with `hf auth login`, set HF_TOKEN, or pass token=..."
HELP = {
    400: "the hub does not accept what was sent; its answer says why",
    401: f"the hub does not know who you are: {LOG_IN}",
    403: "take a token with the right to write to this repository, or publish "
    "under a name of your own",
    404: "there is no such repository or revision, or your token may not see "
    "it: check the spelling and the token",
    409: "it is in conflict with what is there: look at the repository, take "
    "another name or tag, or try again",
    429: "the hub asks to wait: try again later",
}


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
        If it fails for good; errors that do not come from the network, the
        hub or the disk are raised as they are.

    Example
    -------
    >>> with_retries(lambda: 1, what="count", repo_id="me/model")
    1
    """
    for attempt in range(ATTEMPTS):
        try:
            return action()
        except (*KINDS, OSError, RuntimeError, ValueError) as error:
            cause = find_cause(error)
            if cause is None:
                raise
            why, fix, transient = diagnose(cause)
            if not transient or attempt == ATTEMPTS - 1:
                tries = f"{attempt + 1} attempt{'s' * bool(attempt)}"
                raise PublishError(
                    f"{repo_id}: could not {what} ({why}, {tries}): {fix}"
                ) from error
        wait = FIRST_WAIT_SECONDS * 2**attempt
        logger.warning(
            "%s: could not %s (%s); again in %g s", repo_id, what, why, wait
        )
        time.sleep(wait)
    raise AssertionError("ATTEMPTS is below 1")


def find_cause(error: BaseException | None) -> BaseException | None:
    """Find the failure of network, hub or disk behind an error, if any."""
    while error is not None:
        if isinstance(error, KINDS):
            return error
        if getattr(error, "errno", None) in DISK_FAULTS:
            return error
        error = error.__cause__ or error.__context__
    return None


def diagnose(cause: BaseException) -> tuple[str, str, bool]:
    """Say what happened, how to fix it, and whether trying again may help."""
    if isinstance(cause, OFFLINE):
        return "offline mode", "unset HF_HUB_OFFLINE and run it again", False
    if isinstance(cause, LOGGED_OUT):
        return "you are not logged in", LOG_IN, False
    if getattr(cause, "errno", None) in DISK_FAULTS:
        fix = "let HF_HOME and TMPDIR name folders that can be written to"
        if cause.errno in FULL:
            fix = "make room, or let HF_HOME and TMPDIR name other folders"
        return str(cause.strerror), fix, False
    code = getattr(getattr(cause, "response", None), "status_code", None)
    transient = code is None or code == 429 or code >= 500
    fix = HELP.get(code, "the hub refuses this")
    if transient and code not in HELP:
        fix = "check the connection, then run the same command again: what "
        fix += "has arrived is not sent twice"
    if said := getattr(cause, "server_message", None):
        fix += f". The hub says: {printable(said)}"
    why = f"the hub answered {code}"
    if code is None:
        why = printable(f"{type(cause).__name__}: {cause}")
    return why, fix, transient
