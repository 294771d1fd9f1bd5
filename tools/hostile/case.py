"""What a case is, and where its files lie."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

# what a case may end with, the good outcomes first
GOOD = ("refused", "loaded", "skipped")
BAD = ("THROUGH", "LOST", "HUNG", "CRASHED")


@dataclass(frozen=True)
class Place:
    """The folders of one case.

    Arguments
    ---------
    root : Path
        All of it.
    """

    root: Path

    @property
    def given(self) -> Path:
        """What the stranger sends."""
        return self.root / "given"

    @property
    def out(self) -> Path:
        """Where the package may write."""
        return self.root / "out"

    @property
    def outside(self) -> Path:
        """The user's own files, and the folder that the command runs in."""
        return self.root / "outside"

    @property
    def canary(self) -> Path:
        """A folder that code of the stranger would make."""
        return self.outside / "canary"


@dataclass
class Result:
    """What became of the files of a case, where nothing was raised.

    Arguments
    ---------
    accepted : bool
        Whether the hostile part was taken.
    lost : str
        What was good and was not taken; empty if nothing.
    reasons : list of str
        Texts that the user is shown or finds in a file.
    """

    accepted: bool
    lost: str = ""
    reasons: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Case:
    """Something hostile, and how it must end.

    Arguments
    ---------
    name : str
        Words.
    kind : str
        What it is an instance of, such as "archive".
    make : Callable
        Writes its files into `place.given`; raises `OSError` where this
        system cannot.
    run : Callable
        Gives it to the package; returns a Result or raises.
    expect : str
        "refused" if it must not be taken, "loaded" if it must be (such
        cases show that what is refused is refused for its fault), "either"
        if both are harmless.
    """

    name: str
    kind: str
    make: Callable[[Place], None]
    run: Callable[[Place], Result]
    expect: str = "refused"


@dataclass(frozen=True)
class Verdict:
    """How a case ended.

    Arguments
    ---------
    outcome : str
        One of GOOD or BAD.
    why : str
        The message, or what went wrong.
    seconds : float
        That it took.
    """

    outcome: str
    why: str = ""
    seconds: float = 0.0
