"""Tests of tables as people write them."""

import csv

import numpy as np
import pytest
import soundfile

from speechbrain_ext.corpora.folder import prepare
from speechbrain_ext.corpora.tables import read_table
from speechbrain_ext.dataio.recordings import read_recordings

COLUMNS = ("path", "speaker", "text")


def write(path, content):
    if isinstance(content, str):
        content = content.encode()
    path.write_bytes(content)
    return path


def cells(table):
    return [tuple(row.cells.values()) for row in table.rows]


def faults(table):
    return [row.fault for row in table.rows]


GOOD = {
    "plain": b"path,speaker\na.wav,ann\n",
    "mark": b"\xef\xbb\xbfpath,speaker\na.wav,ann\n",
    "windows": b"path,speaker\r\na.wav,ann\r\n",
    "macintosh": b"path,speaker\ra.wav,ann\r",
    "spaces": b"\n , \n Path , Speaker \na.wav, ann \n\n,\n",
    "upper": b"PATH,SPEAKER\na.wav,ann",
    "semicolons": b"path;speaker\na.wav;ann\n",
    "tabs": b"path\tspeaker\na.wav\tann\n",
    "quotes": b'"path","speaker"\n"a.wav","ann"\n',
    "utf16": "path,speaker\na.wav,ann\n".encode("utf-16"),
    "utf32": "path,speaker\na.wav,ann\n".encode("utf-32"),
    "spaced_quotes": b' "Path" , SPEAKER\n"a.wav" , "ann"\n',
    "space_before": b'path,speaker\na.wav, "ann"\n',
    "space_behind": b'"path" ,"speaker"  \r\n"a.wav" ,"ann" \r\n',
    "bars": b"path|speaker\na.wav|ann\n",
    "excel": b"sep=;\r\npath;speaker\r\na.wav;ann\r\n",
    "excel_bars": b'\xef\xbb\xbf"SEP=|"\npath|speaker\na.wav|ann\n',
    "excel_tabs": b"sep=\t\npath\tspeaker\na.wav\tann\n",
    "unseen": "\u200bpath,speaker\na.wav,ann\n".encode(),
    "two_marks": '\ufeff\ufeff"path",speaker\u200b\na.wav,ann\n'.encode(),
    "unmarked_le": "path,speaker\na.wav,ann\n".encode("utf-16-le"),
    "unmarked_be": "path,speaker\na.wav,ann\n".encode("utf-16-be"),
    "unmarked_32": "path,speaker\na.wav,ann\n".encode("utf-32-le"),
    "unknown": b"x,path,,speaker,\n1,a.wav,,ann,,,\n",
    "order": b"speaker,path\nann,a.wav\n",
}


@pytest.mark.parametrize("content", GOOD.values(), ids=[*GOOD])
def test_one_table_in_many_forms(tmp_path, content):
    table = read_table(write(tmp_path / "t.csv", content), COLUMNS)
    assert cells(table) == [("a.wav", "ann", "")]
    assert faults(table) == [""]


@pytest.mark.parametrize(
    ("name", "encoding"),
    [("Jürgen", "cp1252"), ("Zoë", "cp1252"), ("caf\x81é", "latin-1")],
    ids=["windows", "diaeresis", "undefined"],
)
def test_the_encoding_that_was_tried_is_told(tmp_path, caplog, name, encoding):
    content = f"path,speaker\na.wav,ann\nb.wav,{name}\n".encode("latin-1")
    table = read_table(write(tmp_path / "t.csv", content), COLUMNS)
    assert table.rows[1].cells["speaker"] == name
    assert table.encoding == encoding
    assert f"is not UTF-8; read as {encoding}" in caplog.text
    assert "line 3 is b.wav," in caplog.text


def test_a_broken_mark_is_an_error_of_the_file(tmp_path):
    path = write(tmp_path / "t.csv", b"\xff\xfep\0a\0\0")
    with pytest.raises(ValueError, match=r"data_folder: .*t\.csv begins like"):
        read_table(path, COLUMNS, argument="data_folder")


def test_rows_with_faults_are_told_and_the_others_kept(tmp_path):
    content = (
        "path,speaker,text\n"
        "a.wav,ann\n"
        "b.wav,bob,hello, there\n"
        "c.wav,cy,,,\n"
        "d\0.wav,dee\n"
        "e.wav,eve,bye\n"
    )
    table = read_table(write(tmp_path / "t.csv", content), COLUMNS)
    assert [row.cells["path"] for row in table.rows] == [
        *("a.wav", "b.wav", "c.wav", "d\0.wav", "e.wav")
    ]
    assert faults(table) == [
        *("", "line 3 has 4 cells for 3 columns", ""),
        *("line 5 holds a NUL character", ""),
    ]


@pytest.mark.parametrize(
    "line",
    ['"b.wav,bob', 'b.wav,"bob', '"b".wav,bob'],
    ids=["path", "speaker", "half"],
)
def test_a_quote_costs_one_row_and_not_the_rest(tmp_path, line):
    content = f"path,speaker\na.wav,ann\n{line}\nc.wav,cy\n"
    table = read_table(write(tmp_path / "t.csv", content), COLUMNS)
    assert [bool(fault) for fault in faults(table)] == [False, True, False]
    assert "b" in table.rows[1].cells["path"]
    assert cells(table)[2] == ("c.wav", "cy", "")


def test_spaces_around_quotes_of_cells_that_span_lines(tmp_path):
    content = (
        'path, speaker, text\n"a.wav" , "ann" ,"one, ""two"" ,\n three" \n'
        ' b.wav,bob, it was 5" , long\n'
    ).replace(" long", '"" ')
    table = read_table(write(tmp_path / "t.csv", content), COLUMNS)
    assert cells(table)[0] == ("a.wav", "ann", 'one, "two" ,\n three')
    # spaces of paths without quotes may be theirs
    assert table.rows[1].cells["path"] == " b.wav"
    assert len(table.rows) == 2


def test_bytes_that_are_no_utf16_after_all(tmp_path):
    content = "path,speaker\na.wav,ann\n".encode("utf-16-le") + b"\n"
    path = write(tmp_path / "t.csv", content)
    with pytest.raises(ValueError, match="begins like utf-16-le and is none"):
        read_table(path, COLUMNS)


def test_cells_of_any_length(tmp_path):
    limit = csv.field_size_limit()
    content = f"path,speaker,text\na.wav,ann,{'x' * 200_000}\nb.wav,bob\n"
    table = read_table(write(tmp_path / "t.csv", content), COLUMNS)
    assert [len(row.cells["text"]) for row in table.rows] == [200_000, 0]
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"no column 'path'; its columns are \(none\)"),
        ("\n\n", r"no column 'path'; its columns are \(none\)"),
        ("file,speaker\n", "no column 'path'; its columns are file, speaker"),
        ("path,Path \na,b\n", "has the column 'path' 2 times"),
        ("path,speaker,SPEAKER\n", "has the column 'speaker' 2 times"),
    ],
    ids=["empty", "blank", "other", "twice", "case"],
)
def test_headers_that_cannot_be_understood(tmp_path, content, message):
    path = write(tmp_path / "t.csv", content)
    with pytest.raises(ValueError, match=message):
        read_table(path, COLUMNS, needed=["path"])


def test_columns_that_are_not_read_are_told(tmp_path, caplog):
    caplog.set_level("INFO")
    read_table(write(tmp_path / "t.csv", "path,Color,,\na,b,,"), COLUMNS)
    assert "columns that are not read: color" in caplog.text


def listed(folder):
    with open(folder / "skipped.csv", newline="") as file:
        return [row["reason"] for row in csv.DictReader(file)]


def test_a_preparation_survives_every_row(tmp_path, write_tone, monkeypatch):
    for name in ("a.wav", " b.wav", "c.wav"):
        write_tone(tmp_path / "data" / name)
    write_tone(tmp_path / "d.wav")
    monkeypatch.setenv("HOME", str(tmp_path))
    rows = [
        *("a.wav,s1", " b.wav,s2", " c.wav ,s3", "~/d.wav,s4"),
        *("x\0.wav,s", "a.wav,s,t,u", "y" * 200_000 + ",s", ",s", "..,s"),
        *("/,s", "gone.wav,s", "~nobody/x.wav,s", '"x.wav,s', "a\x1bb,s"),
        *("=cmd(),s", "/dev/zero,s", ".,s", "a.wav"),
    ]
    table = write(
        tmp_path / "data" / "list.csv", "\n".join(["path,speaker", *rows])
    )
    manifest = prepare(table, tmp_path / "out")
    found = {row.speaker for row in read_recordings(manifest)}
    assert found == {"s1", "s2", "s3", "s4"}
    assert len(listed(tmp_path / "out")) == len(rows) - 4


def test_long_texts_and_strange_texts_come_back(tmp_path, write_tone):
    write_tone(tmp_path / "data" / "a.wav")
    text = "=1+1 " + "x\r, " * 50_000 + "'\"\nend"
    with open(tmp_path / "data" / "t.csv", "w", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["path", "speaker", "text"])
        writer.writerow(["a.wav", "-ann", text])
    (row,) = read_recordings(
        prepare(tmp_path / "data" / "t.csv", tmp_path / "out")
    )
    assert (row.speaker, row.text) == ("-ann", text)


def test_a_table_of_other_bytes_names_files_of_such_bytes(tmp_path):
    """Both a file whose name is UTF-8 and one that has the table's bytes."""
    (tmp_path / "data").mkdir()
    folder = str(tmp_path / "data").encode()
    noise = 0.1 * np.random.default_rng(0).standard_normal(20000)
    soundfile.write(tmp_path / "a.wav", noise, 16000, "PCM_16")
    content = (tmp_path / "a.wav").read_bytes()
    for name in ("ü.wav".encode(), "ä.wav".encode("latin-1")):
        with open(folder + b"/" + name, "wb") as file:
            file.write(content)
    table = "path,speaker\nü.wav,s1\nä.wav,s2\n".encode("latin-1")
    rows = read_recordings(
        prepare(write(tmp_path / "data" / "t.csv", table), tmp_path / "out")
    )
    assert {row.speaker for row in rows} == {"s1", "s2"}
    for row in rows:
        with open(row.path, "rb") as file:
            assert file.read() == content


def test_a_table_without_rows(tmp_path):
    path = write(tmp_path / "t.csv", "path,speaker\n\n")
    with pytest.raises(ValueError, match="nothing usable .*no rows below its"):
        prepare(path, tmp_path / "out")
