"""Very many made-up cases of one kind, the same ones in every run."""

import logging
import re
import tempfile
from unittest import mock

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.internal.conjecture import providers

# what Hypothesis keeps is not left in the checkout
HOME = tempfile.TemporaryDirectory(prefix="hypothesis")
set_hypothesis_home_dir(HOME.name)
# what users type and files hold where trouble is
ODD_TEXTS = st.sampled_from(
    ["", " ", "~", "-", "--", "#", "..", "/", "//", "0", "-1", "1e-4", "1e999"]
    + ["nan", "inf", "null", "None", "true", "yes", "20240101", "1_000", "0x10"]
    + ["a: b", "[1", "{a", "!new:os.system", "<a>", "*a", "&a", "'", '"', "\\"]
    + ["=1+1", "@a", "\x1b[2J", "\x00", "\ufeff", "\u202e", "\ud800", "\u2028"]
    + ["9" * 400, "1:30", "2024-01-01", "%s", "$HOME", "a\nb", "a\rb", "a\tb"]
)
TEXTS = st.one_of(ODD_TEXTS, st.text(max_size=12))


def try_all(strategy, number, check):
    """Call `check` with so many draws of a strategy; give how many it were.

    Draws that raise end the test, with the smallest that does.
    """
    tried = 0

    # no Phase.shrink: what is drawn is small, and the files are written anew
    @settings(
        max_examples=number,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
        print_blob=False,
    )
    @given(strategy)
    def run(case):
        nonlocal tried
        tried += 1
        check(case)

    logging.disable()  # else every line of every case would be kept
    try:
        # Hypothesis would read the source of all modules for constants: the
        # draws would change with the code, and SpeechBrain's lazy modules be
        # imported
        with mock.patch.object(
            providers, "_get_local_constants", providers.Constants
        ):
            run()
    finally:
        logging.disable(logging.NOTSET)
    assert tried >= number
    return tried


def require_readable(error):
    """Check the message of an error that a user is shown."""
    text = str(error)
    assert not isinstance(error, UnicodeError), "a traceback of a library"
    assert text.strip(), "an empty message"
    assert len(text) <= 5000, f"a message of {len(text)} characters"
    assert text.replace("\n", "").isprintable(), repr(text)
    assert not re.search(r"Traceback|alloc\w* memory|MemoryError", text), text


def edits(length):
    """Strategy of changes to a file: (what, where, bytes)."""
    numbers = st.sampled_from([0, 1, 2, 3, 4, 8, 16, 24, 44, 64, 100, 128, 255])
    content = st.one_of(
        st.binary(min_size=1, max_size=9),
        st.builds(lambda n: bytes([n]), numbers),
        st.sampled_from([b"\xff" * 4, b"\0" * 8, b"\xff" * 7 + b"\x7f"]),
    )
    return st.lists(
        st.tuples(
            st.sampled_from(["replace", "insert", "delete", "cut", "double"]),
            st.one_of(st.integers(0, 64), st.integers(0, length)),
            content,
        ),
        max_size=4,
    )


def edited(content, changes):
    """Make the changes that `edits` draws."""
    for what, place, new in changes:
        place = min(place, len(content))
        head, rest = content[:place], content[place:]
        if what == "replace":
            content = head + new + rest[len(new) :]
        elif what == "insert":
            content = head + new + rest
        elif what == "delete":
            content = head + rest[len(new) :]
        elif what == "double":
            content = head + rest[:64] + rest
        elif place:
            content = head
    return content
