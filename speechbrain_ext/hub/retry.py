"""Trying again when the network fails, and saying so when it keeps failing."""

import json
import logging
import time
from collections.abc import Callable
from typing import TypeVar

# HTTPError is the class of the network library that the client uses
from huggingface_hub import errors

from speechbrain_ext.console import DISK_FAULTS, printable

logger = logging.getLogger(__name__)

ATTEMPTS = 4
FIRST_WAIT_SECONDS = 2.0
Result = TypeVar("Result")
LOG_IN = "log in with `hf auth login`, set HF_TOKEN, or pass token=..."
NETWORK = (errors.HTTPError, json.JSONDecodeError)
LOCAL = {
    errors.OfflineModeIsEnabled: "unset HF_HUB_OFFLINE and run it again",
    errors.LocalTokenNotFoundError: LOG_IN,
}
HELP = {
    401: f"the hub does not know who you are: {LOG_IN}",
    403: "take a token with the right to write to this repository, or publish "
    "under a name of your own",
    404: "there is no such repository or revision, or your token may not see "
    "it: check the spelling and the token",
    409: "it is in conflict with what is there: look at the repository, take "
    "another name or tag, or try again",
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
    attempt, wait = 1, FIRST_WAIT_SECONDS
    while True:
        try:
            return action()
        except (*NETWORK, OSError, RuntimeError, ValueError) as error:
            cause = find_cause(error)
            if cause is None:
                raise
            why, fix = diagnose(cause)
            if fix or attempt == ATTEMPTS:
                fix = fix or (
                    "check the connection, then run the same command again: "
                    "what has arrived is not sent twice"
                )
                raise PublishError(
                    f"{repo_id}: could not {what} ({why}, attempt {attempt}): "
                    f"{fix}"
                ) from error
        logger.warning(
            "%s: could not %s (%s); again in %g s", repo_id, what, why, wait
        )
        time.sleep(wait)
        attempt, wait = attempt + 1, 2 * wait


def find_cause(error: BaseException | None) -> BaseException | None:
    """Find the failure of network, hub or disk behind an error, if any."""
    while error is not None:
        disk = getattr(error, "errno", None) in DISK_FAULTS
        if disk or isinstance(error, (*NETWORK, *LOCAL)):
            return error
        error = error.__cause__ or error.__context__
    return None


def diagnose(cause: BaseException) -> tuple[str, str]:
    """Say what happened, and what helps; nothing if it is worth a retry."""
    why = printable(f"{type(cause).__name__}: {cause}")
    if type(cause) in LOCAL:
        return why, LOCAL[type(cause)]
    if getattr(cause, "errno", None) in DISK_FAULTS:
        return str(cause.strerror), (
            "make room, or let HF_HOME and TMPDIR name other folders"
        )
    code = getattr(getattr(cause, "response", None), "status_code", None)
    if code is None:
        return why, ""
    said = printable(getattr(cause, "server_message", None) or "nothing else")
    why = f"the hub answered {code}: {said}"
    if code == 429 or code >= 500:
        return why, ""
    return why, HELP.get(code, "the hub refuses this")
