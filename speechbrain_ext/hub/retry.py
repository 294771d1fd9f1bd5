"""Trying again when the network fails, and saying so when it keeps failing."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import httpx2
from huggingface_hub.errors import HfHubHTTPError

logger = logging.getLogger(__name__)

ATTEMPTS = 4
FIRST_WAIT_SECONDS = 2.0
Result = TypeVar("Result")

MENDS = {
    400: "the hub does not accept what was sent; its answer says why",
    401: (
        "the hub does not know who you are: log in with `hf auth login`, set "
        "HF_TOKEN, or pass token=..."
    ),
    403: (
        "your token may not do that: take one with the right to write to "
        "this repository, or publish under a name of your own"
    ),
    404: (
        "there is no such repository or revision, or your token may not see "
        "it: check the spelling and the token"
    ),
    409: (
        "it is in conflict with what is there, a commit or a name: look at "
        "the repository, take another name or tag, or try again"
    ),
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
        If it fails for good; errors that do not come from the network or
        the hub are raised as they are.

    Example
    -------
    >>> with_retries(lambda: 1, what="count", repo_id="me/model")
    1
    """
    wait = FIRST_WAIT_SECONDS
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return action()
        except (httpx2.HTTPError, OSError, RuntimeError, ValueError) as error:
            cause = network_cause(error)
            if cause is None:
                raise
            if attempt == ATTEMPTS or not is_transient(cause):
                raise PublishError(
                    explain(cause, what=what, repo_id=repo_id, tries=attempt)
                ) from error
            logger.warning(
                "%s: %s failed (%s), attempt %d of %d; again in %g s",
                *(repo_id, what, summary(cause), attempt, ATTEMPTS, wait),
            )
        time.sleep(wait)
        wait *= 2
    raise AssertionError("ATTEMPTS is below 1")


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Walk from an error to what caused it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def network_cause(error: BaseException) -> BaseException | None:
    """Find the failure of network or hub behind an error.

    Arguments
    ---------
    error : BaseException
        huggingface_hub wraps some failures in errors of its own.

    Returns
    -------
    cause : BaseException or None
        None if the error comes from elsewhere.
    """
    kinds = (HfHubHTTPError, httpx2.TransportError, json.JSONDecodeError)
    found = [item for item in causes(error) if isinstance(item, kinds)]
    return found[0] if found else None


def status(cause: BaseException) -> int | None:
    """Give the number that the hub answered with."""
    response = getattr(cause, "response", None)
    return None if response is None else response.status_code


def is_transient(cause: BaseException) -> bool:
    """Tell whether trying again may help."""
    code = status(cause)
    return code is None or code == 429 or code >= 500


def summary(cause: BaseException) -> str:
    """Say in a few words what happened."""
    code = status(cause)
    if code is not None:
        return f"the hub answered {code}"
    return f"{type(cause).__name__}: {' '.join(str(cause).split())}"


def explain(
    cause: BaseException, *, what: str, repo_id: str, tries: int
) -> str:
    """Say what failed, why, and what can be done.

    Arguments
    ---------
    cause : BaseException
        From `network_cause`.
    what : str
        What failed.
    repo_id : str
        The repository.
    tries : int
        How often it was tried.

    Returns
    -------
    message : str
        For people.
    """
    code = status(cause)
    mend = MENDS.get(code)
    if mend is None and code is not None and code < 500:
        mend = "the hub refuses this"
    elif mend is None:
        mend = (
            "check the connection, then run the same command again: what "
            "has arrived is not sent twice"
        )
    said = getattr(cause, "server_message", None)
    return " ".join(
        part
        for part in (
            f"{repo_id}: could not {what} ({summary(cause)}, "
            f"{tries} attempt{'s' if tries > 1 else ''}):",
            f"{mend}.",
            f"The hub says: {said}" if said else "",
        )
        if part
    )
