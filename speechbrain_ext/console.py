"""What commands share: readable errors, exit statuses, items that fail.

A command ends with exit status 0 if all went well, 1 if it could not begin
or go on (a mistake in an option or in the data), and 2 if some of its items
failed while the others were done.
"""

import argparse
import errno
import logging
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

logger = logging.getLogger(__name__)

MISTAKE, SOME_FAILED = 1, 2
LONGEST_TEXT = 500
FULL = {errno.ENOSPC, errno.EDQUOT}
# With these the disk is at fault, and the next item would fail as well.
DISK_FAULTS = {*FULL, errno.EROFS}


def printable(
    text: object, longest: int = LONGEST_TEXT, *, lines: bool = True
) -> str:
    r"""Make text from a stranger's file safe and short enough to print.

    Arguments
    ---------
    text : object
        Anything; `str` is taken of it.
    longest : int
        Characters to keep, at least 10.
    lines : bool
        Whether line breaks stay; False for a line of a list, which names
        must not break.

    Returns
    -------
    text : str
        Without characters that a terminal obeys, or that hide others: they
        are written as escapes. The middle of a long text is left out.

    Example
    -------
    >>> printable("\x1b[2Jencoder.ckpt")
    '\\x1b[2Jencoder.ckpt'
    >>> printable("a" * 1000, longest=10)
    'aaa ... aa'
    """
    text = str(text)
    if len(text) > longest:
        half = (longest - 5) // 2
        text = f"{text[: longest - 5 - half]} ... {text[len(text) - half :]}"
    return "".join(
        character
        if character.isprintable() or (lines and character == "\n")
        else character.encode("unicode_escape", "surrogatepass").decode()
        for character in text
    )


class Parser(argparse.ArgumentParser):
    """A parser of options whose mistakes end with exit status 1.

    It knows `--traceback`, which `readable_errors` looks for, takes `-` for
    `_` in the names of options, and refuses arguments that are empty: an
    empty path would mean the folder that the command runs in.

    Example
    -------
    >>> parser = Parser(prog="enhance")
    >>> _ = parser.add_argument("recordings")
    >>> parser.parse_args(["talk.wav"]).recordings
    'talk.wav'
    """

    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        self.add_argument(
            "--traceback",
            action="store_true",
            help="show where in the code an error occurred",
        )

    def parse_known_args(self, args=None, namespace=None):
        """Parse, also options with another hyphen."""
        args = sys.argv[1:] if args is None else args
        return super().parse_known_args(map(self._spelled, args), namespace)

    def _spelled(self, word):
        name, mark, value = word.partition("=")
        known = f"--{name[2:].replace('-', '_')}"
        if name.startswith("--") and known in self._option_string_actions:
            return f"{known}{mark}{value}"
        return word

    def _get_values(self, action, arg_strings):
        # what follows the name of a command is for the command's own parser
        own = (
            arg_strings[:1] if action.nargs == argparse.PARSER else arg_strings
        )
        if any(not word.strip() for word in own):
            name = action.metavar or action.dest
            flags = "/".join(action.option_strings) or name
            raise argparse.ArgumentError(
                None, f"{flags} is empty; give a value"
            )
        return super()._get_values(action, arg_strings)

    def error(self, message):
        """Print the usage and a mistake, and exit."""
        self.print_usage(sys.stderr)
        self.exit(MISTAKE, f"{self.prog}: {printable(message)}\n")


@contextmanager
def readable_errors(arguments: Sequence[str] | None = None) -> Iterator[None]:
    """Let a command end with one readable paragraph instead of a traceback.

    Arguments
    ---------
    arguments : sequence of str, optional
        Of the command line, by default this process's. The traceback is
        shown if `--traceback` is among them.

    Raises
    ------
    SystemExit
        With status 1, after any error inside.

    Example
    -------
    >>> with readable_errors([]):  # doctest: +SKIP
    ...     raise ValueError("sample_rate: 0 is below 4000")
    sample_rate: 0 is below 4000
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        # names of files may hold what the terminal's encoding lacks
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # whoever read the output has left; nothing can be told any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(MISTAKE)
    except Exception as error:
        if "--traceback" in arguments:
            traceback.print_exc()
        else:
            print(describe_error(error), file=sys.stderr, flush=True)
        sys.exit(MISTAKE)


def describe_error(error: BaseException) -> str:
    """Say what went wrong in one paragraph.

    Arguments
    ---------
    error : BaseException
        What was raised. Errors that this project raises on purpose
        (ValueError, OSError, RuntimeError, ImportError with a message) speak
        for themselves; others get their kind, and a hint to report them.

    Returns
    -------
    text : str

    Example
    -------
    >>> describe_error(ValueError("data_folder: there is no folder a"))
    'data_folder: there is no folder a'
    >>> print(describe_error(KeyError("snr")))
    KeyError: 'snr'. This is probably a fault of the program: run the command
    again with --traceback to see where, and report it.
    """
    if isinstance(error, OSError) and error.errno is not None:
        files = [error.filename, error.filename2]
        named = " -> ".join(str(name) for name in files if name is not None)
        text = f"{named}: {error.strerror}" if named else error.strerror
        return printable(f"{text}{_advice(error)}", 4000)
    said = printable(str(error).strip(), 4000)
    kinds = (ValueError, OSError, RuntimeError, ImportError, MemoryError)
    if isinstance(error, kinds) and said:
        return said
    kind = type(error).__name__
    return (
        f"{kind}: {said}. This is probably a fault of the program: run the "
        "command again with --traceback to see where, and report it."
    )


def _advice(error: OSError) -> str:
    """Say what helps against an error of the system; empty if unknown."""
    if "choose" in str(error.strerror):
        return ""
    if error.errno in FULL:
        return (
            "; no half-written file is left. Free some space or choose another "
            "folder, and run the same command again"
        )
    place = error.filename
    there = isinstance(place, str | os.PathLike) and os.path.exists(place)
    if error.errno == errno.EACCES and there and not os.access(place, os.R_OK):
        return "; change its permissions, so that it can be read"
    if error.errno in (errno.EROFS, errno.EACCES):
        return "; choose a folder that can be written to"
    return ""


class Failures:
    """Items that failed while the others went on.

    Example
    -------
    >>> failures = Failures()
    >>> for name in ("good.wav", "bad.wav"):
    ...     with failures.item(name):
    ...         if name == "bad.wav":
    ...             raise ValueError("bad.wav: holds no samples")
    >>> failures.rows
    [{'item': 'bad.wav', 'reason': 'bad.wav: holds no samples'}]
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, str]] = []

    @contextmanager
    def item(self, name: object) -> Iterator[None]:
        """Work on one item; any error inside is kept, and the work goes on.

        Arguments
        ---------
        name : object
            Of the item, such as its path.

        Raises
        ------
        OSError
            If the disk is full or cannot be written: nothing can go on.
        """
        try:
            yield
        except Exception as error:
            # when no one reads what is printed, nothing is left to be told
            gone = isinstance(error, BrokenPipeError)
            if gone or getattr(error, "errno", None) in DISK_FAULTS:
                raise
            self.add(name, describe_error(error))

    def add(self, name: object, reason: str) -> None:
        """List an item as failed, and say so at once."""
        named = printable(name, 4000)
        if named not in reason:
            reason = f"{named}: {reason}"
        reason = printable(reason, 4000, lines=False)
        self.rows.append({"item": str(name), "reason": reason})
        logger.warning("skipped: %s", reason)

    def finish(self, done: int) -> None:
        """End a command: list what failed, and exit with status 2 if any.

        Arguments
        ---------
        done : int
            How many items were done.

        Raises
        ------
        SystemExit
            With status 2, if an item failed.
        """
        if not self.rows:
            return
        print(
            f"\n{done} done, {len(self.rows)} skipped:",
            *(f"  {row['reason']}" for row in self.rows),
            sep="\n",
            file=sys.stderr,
        )
        sys.exit(SOME_FAILED)
