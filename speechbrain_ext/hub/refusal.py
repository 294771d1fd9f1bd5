"""What is refused, where it stands, and how much is too much."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from speechbrain_ext.console import printable

LONGEST_QUOTE = 100


class RefusedError(ValueError):
    """A folder asks for more than a model needs; nothing of it was run."""


@dataclass(frozen=True)
class Limits:
    """Sizes above which a folder is refused.

    Arguments
    ---------
    yaml_bytes : int
        Size of hyperparams.yaml. Published ones have a few kilobytes.
    yaml_values : int
        Values in hyperparams.yaml, with references followed.
    yaml_depth : int
        How deep lists, dicts and references stand in each other.
    weight_bytes : int
        Size of all files of weights together; also that of all parameters
        and buffers of the modules. Published separators have 120 MB.

    Example
    -------
    >>> Limits(weight_bytes=10**6).yaml_values
    4000
    """

    yaml_bytes: int = 64 * 1024
    yaml_values: int = 4_000
    yaml_depth: int = 40
    weight_bytes: int = 512 * 1024**2

    def check(self, what: str, size: int, limit: str) -> None:
        """Raise a RefusedError if a size is above the limit of that name."""
        most = getattr(self, limit)
        if size > most:
            raise RefusedError(
                f"{what} {size} bytes, more than {most}; Limits({limit}=...) "
                "changes that"
            )

    def check_weights(self, sizes: Mapping[object, int]) -> None:
        """Raise a RefusedError if files together are above weight_bytes."""
        listed = ", ".join(f"{name}: {size}" for name, size in sizes.items())
        what = f"{printable(listed)}: files of weights have"
        self.check(what, sum(sizes.values()), "weight_bytes")


LIMITS = Limits()


@dataclass(frozen=True)
class Place:
    """A line of a file.

    Arguments
    ---------
    path : Path
        The file.
    line : int
        Counted from 1.
    text : str
        What stands there.
    """

    path: Path
    line: int
    text: str

    def refuse(self, why: str, mend: str = "") -> RefusedError:
        """Make the error that names this line.

        Arguments
        ---------
        why : str
            What is wrong with it; may hold text of the file.
        mend : str
            What its author could write instead.

        Returns
        -------
        error : RefusedError
            To be raised.

        Example
        -------
        >>> place = Place(Path("hyperparams.yaml"), 3, "a: !apply:b.c")
        >>> print(place.refuse("!apply runs a function"))
        hyperparams.yaml, line 3: !apply runs a function: 'a: !apply:b.c'.
        Nothing was imported or run. If you trust the author, trust=True
        loads the folder all the same.
        """
        quote = self.text.strip()
        if len(quote) > LONGEST_QUOTE:
            quote = quote[:LONGEST_QUOTE] + "..."
        parts = [
            f"{self.path}, line {self.line}: {printable(why)}: {quote!r}.",
            mend,
            "Nothing was imported or run. If you trust the author, "
            "trust=True loads the folder all the same.",
        ]
        return RefusedError(" ".join(part for part in parts if part))
