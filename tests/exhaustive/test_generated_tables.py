"""Tables as people, spreadsheets and strangers write them."""

import csv
import io
import shutil

import numpy as np
import pytest
import soundfile

pytest.importorskip("hypothesis", reason="pip install '.[dev]'")

from generated import TEXTS, edited, edits, require_readable, try_all  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from speechbrain_ext.corpora import folder  # noqa: E402

pytestmark = pytest.mark.exhaustive

COLUMNS = ["path", "speaker", "kind", "split", "seconds", "label", "text"]
COLUMNS += ["sex", "source", "licence", "other"]
GOOD = ["a.wav", "b.flac", "./a.wav", "sub/../b.flac"]
PATHS = st.one_of(
    st.sampled_from(GOOD),
    st.sampled_from(GOOD),
    st.sampled_from(["missing.wav", "sub", "/dev/null", "//a.wav", "~/a.wav"]),
    TEXTS,
)
CELLS = {
    "path": PATHS,
    "speaker": st.one_of(st.sampled_from(["s1", "s2", " s1 "]), TEXTS),
    "kind": st.sampled_from(["", "speech", "noise", "Speech", "rir", "x"]),
    "split": st.sampled_from(["", "", "train", "dev", "TEST", "user", "x"]),
    "seconds": st.sampled_from(["", "", "0.1", "1e3", "nan", "-1", "x", "1,5"]),
}


@st.composite
def tables(draw):
    """Draw (bytes, number of rows that must be accounted for or None)."""
    columns = draw(st.permutations(COLUMNS))[: draw(st.integers(1, 6))]
    if draw(st.integers(0, 9)):
        columns = list(dict.fromkeys(["path", "speaker", *columns]))
        columns = draw(st.permutations(columns))
    style = draw(st.sampled_from([str, str, str.title, " {} ".format]))
    rows = draw(
        st.lists(
            st.tuples(*(CELLS.get(name, TEXTS) for name in columns)),
            max_size=5,
        )
    )
    extra = draw(st.sampled_from([(), (), ("",), ("more",), ("", "", "x")]))
    rows = [(*row, *extra) for row in rows]
    # some versions of Python leave line breaks without quotes
    broken = any(
        sign in cell for row in rows for cell in row for sign in "\r\n"
    )
    quoted = broken or draw(st.booleans())
    file = io.StringIO()
    writer = csv.writer(
        file,
        delimiter=draw(st.sampled_from(",,,;\t|")),
        quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL,
        lineterminator=draw(st.sampled_from(["\n", "\n", "\r\n", "\r"])),
    )
    writer.writerow(map(style, columns))
    writer.writerows(rows)
    encoding = draw(
        st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252"])
    )
    content = file.getvalue().encode(encoding, "replace")
    changes = draw(st.one_of(st.just([]), edits(len(content))))
    number = sum(any(cell.strip() for cell in row) for row in rows)
    return edited(content, changes), None if changes else number


def test_rows_are_taken_or_skipped(tmp_path, record_property):
    (tmp_path / "sub").mkdir()
    tone = 0.3 * np.sin(np.arange(1000) / 3)
    soundfile.write(tmp_path / "a.wav", tone, 8000)
    soundfile.write(tmp_path / "b.flac", tone[::-1], 16000)
    table, out = tmp_path / "table.csv", tmp_path / "out"
    outcomes = {"prepared": 0, "refused": 0}

    def check(case):
        content, number = case
        table.write_bytes(content)
        shutil.rmtree(out, ignore_errors=True)
        try:
            folder.prepare(table, out, sample_rate=8000, minimum_seconds=0.01)
        except (ValueError, OSError) as error:
            require_readable(error)
            outcomes["refused"] += 1
            return
        outcomes["prepared"] += 1
        rows = [*read(out / "manifest.csv"), *read(out / "skipped.csv")]
        assert number is None or len(rows) == number
        for row in read(out / "skipped.csv"):
            assert row["reason"]

    record_property("cases", try_all(tables(), 2500, check))
    record_property("outcomes", outcomes)
    assert min(outcomes.values()) > 100


def read(path):
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        return list(csv.DictReader(file))
