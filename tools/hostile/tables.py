"""Tables of recordings with rows that lie, and texts that are no tables."""

import os
import shutil

from hostile.case import Case, Result
from hostile.runners import GOOD_FILES, prepare, read_prepared, write_good

HEADER = "path,speaker,label,seconds\n"
GOOD = "".join(f"good/{n}.wav,s{n},,\n" for n in range(GOOD_FILES))
LONG = "x" * 200_000


def rows(*cells: str) -> str:
    """Make a table of good rows, and hostile ones behind."""
    return HEADER + GOOD + "".join(f"{row}\n" for row in cells)


# name: the table, in which good rows must be taken
LINES = {
    "path by /proc": rows("//proc/self/cwd/mine/take.flac,h,,"),
    "path by /proc of a good file": rows("//proc/self/cwd/mine/own.flac,h,,"),
    "path with three slashes": rows("///proc/self/cwd/mine/own.flac,h,,"),
    "path that leads up": rows("../outside/mine/own.flac,h,,"),
    "path that leads up far": rows(f"{'../' * 60}hostile.wav,h,,"),
    "path that leads up and down": rows(
        "good/../../outside/mine/../mine/own.flac,h,,"
    ),
    "path absolute": rows("OUTSIDE/mine/own.flac,h,,"),
    "path absolute with two slashes": rows("/OUTSIDE/mine/own.flac,h,,"),
    "path of a home": rows("~/hostile.wav,h,,", "~nobody/hostile.wav,h,,"),
    "path of a missing home": rows("~no such user/hostile.wav,h,,"),
    "path of dots": rows("..,h,,", ".,h,,", "/,h,,", "//,h,,", "./..,h,,"),
    "path of spaces": rows("   ,h,,"),
    "path empty": rows(",h,,"),
    "path a dash": rows("-,h,,"),
    "path a web address": rows("http://127.0.0.1:9/hostile.wav,h,,"),
    "path a command": rows("|mkdir canary,h,,", "$(mkdir canary),h,,"),
    "path standard input": rows("/dev/stdin,h,,"),
    "path /dev/fd/0": rows("/dev/fd/0,h,,", "/proc/self/fd/0,h,,"),
    "path /dev/zero": rows("/dev/zero,h,,"),
    "path /dev/random": rows("/dev/urandom,h,,"),
    "path /dev/null": rows("/dev/null,h,,"),
    "path /dev/tty": rows("/dev/tty,h,,"),
    "path /proc/self/mem": rows("/proc/self/mem,h,,", "/proc/kmsg,h,,"),
    "path a FIFO": rows("fifo.wav,h,,"),
    "path a folder": rows("good,h,,"),
    "path through a file": rows("good/0.wav/hostile.wav,h,,"),
    "path a link loop": rows("loop.wav,h,,"),
    "path a dangling link": rows("dangling.wav,h,,"),
    "path a link to /dev/zero": rows("zero.wav,h,,"),
    "path a hole of 1 TB": rows("hole.wav,h,,"),
    "path of 5000 characters": rows(f"{'h' * 5000}.wav,h,,"),
    "path of 255 bytes": rows(f"{'h' * 251}.wav,h,,"),
    "path of 3000 folders": rows(f"{'h/' * 3000}a.wav,h,,"),
    "path with NUL": rows("hostile\0.wav,h,,"),
    "path with terminal codes": rows("\x1b[2J\x1b]0;hostile\x07.wav,h,,"),
    "path with a line break": rows('"hos\ntile.wav",h,,'),
    "path right to left": rows("\u202ehostile.wav,h,,"),
    "path a formula": rows("=1+1.wav,h,,", "@SUM(A1).wav,h,,", "+1,h,,"),
    "path the table itself": rows("table.csv,h,,"),
    "path twice": rows("good/0.wav,h,,"),
    "path twice by another name": rows("./good//0.wav,h,,"),
    "path of other letters": rows("good/\u0660.wav,h,,"),
    "speaker a formula": rows("good/9.wav,=cmd|'/c calc'!A1,,"),
    "speaker a path": rows("good/9.wav,../../outside,,"),
    "speaker of 200000 characters": rows(f"good/9.wav,{LONG},,"),
    "speaker with NUL": rows("good/9.wav,a\0b,,"),
    "speaker with terminal codes": rows("good/9.wav,\x1b[2J,,"),
    "label of 200000 characters": rows(f"good/9.wav,h,{LONG},"),
    "label of 200000 quoted characters": rows(f'good/9.wav,h,"{LONG}",'),
    "seconds no number": rows("good/9.wav,h,,many"),
    "seconds not a number": rows("good/9.wav,h,,nan"),
    "seconds infinite": rows("good/9.wav,h,,inf"),
    "seconds negative": rows("good/9.wav,h,,-1e308"),
    "seconds beyond floats": rows("good/9.wav,h,,1e999"),
    "seconds of 5000 digits": rows(f"good/9.wav,h,,{'9' * 5000}"),
    "seconds in other digits": rows("good/9.wav,h,,\u0661\u0662"),
    "seconds a formula": rows("good/9.wav,h,,=1"),
    "more cells than columns": rows(
        "hostile.wav,h,,,5,6,7", "hostile.wav,,,,,"
    ),
    "100000 cells": rows("hostile.wav" + "," * 100_000),
    "fewer cells than columns": rows("hostile.wav"),
    "a quote in a cell": rows('hos"tile.wav,h,,', '"hostile"x.wav,h,,'),
    "a million empty rows": HEADER + "\n" * 1_000_000 + GOOD,
    "a million rows of commas": rows() + ",,,\n" * 100_000,
    "5000 missing files": rows(
        *(f"hostile{n}.wav,h,," for n in range(5_000))
    ),
    "split unknown": rows("hostile.wav,h,,").replace("label", "split"),
    "kind unknown": rows("hostile.wav,h,\x1b[2J,").replace("label", "kind"),
    "kind of 200000 characters": rows(f"hostile.wav,h,{LONG},").replace(
        "label", "kind"
    ),
    "line ends CR": rows("hostile.wav,h,,").replace("\n", "\r"),
    "line ends CR LF": rows("hostile.wav,h,,").replace("\n", "\r\n"),
    "byte order mark": "\ufeff" + rows("hostile.wav,h,,"),
    "byte order mark in the middle": rows("\ufeffhostile.wav,h,,"),
    "other line separators": rows(
        "hos\u2028tile.wav,h,,", "a\x0bb\x0cc.wav,h,,"
    ),
    "lone surrogate": rows("hostile.wav,h,,").encode() + b"\xed\xa0\x80,h,,\n",
    "a column of 200000 characters": rows().replace("label", LONG),
    "a column with terminal codes": rows().replace("label", "\x1b[2J"),
    "5000 columns": HEADER.strip()
    + "".join(f",c{n}" for n in range(5000)) + "\n" + GOOD,
}  # fmt: skip
# name: what may as well be refused as a whole
TEXTS = {
    "empty": "",
    "header only": HEADER,
    "no header": GOOD,
    "blank lines only": "\n" * 100_000,
    "NUL only": "\0" * 100_000,
    "one line of 10 MB": "a" * 10_000_000,
    "commas only": "," * 1_000_000,
    "quotes only": '"' * 1_000_001,
    "column twice": rows().replace("label", "path"),
    "column speaker twice": rows().replace("label", "speaker"),
    "header with spaces": rows().replace("path,", " path ,"),
    "header in capitals": rows().replace(HEADER, HEADER.upper()),
    "header with NUL": rows().replace("path", "pa\0th"),
    "header not closed": '"' + rows(),
    "a quote not closed": rows('"hostile.wav,h,,'),
    "a quote not closed at once": HEADER + '"hostile.wav,h,,\n' + GOOD,
    "semicolons": rows().replace(",", ";"),
    "tabs": rows().replace(",", "\t"),
    "UTF-16": rows().encode("utf-16"),
    "UTF-16 without a mark": rows().encode("utf-16-le"),
    "UTF-16 of an odd length": rows().encode("utf-16") + b"a",
    "UTF-32": rows().encode("utf-32"),
    "UTF-7": rows("+AGEA-.wav,h,,").encode("utf-7"),
    "Latin-1": rows("h\xf6stile.wav,\xe9,,").encode("latin-1"),
    "not UTF-8": rows().encode() + b"\xff\xfe\x80hostile.wav,h,,\n",
    "random bytes": bytes(range(256)) * 1000,
    "a zip archive": b"PK\x03\x04" + bytes(5000),
    "gzip": b"\x1f\x8b\x08" + bytes(range(256)) * 20,
    "a wave file": b"RIFF\0\0\0\0WAVE" + bytes(5000),
    "HTML": "<html><script>alert(1)</script></html>",
    "JSON": '{"path": "good/0.wav"}' * 1000,
}


def with_table(text: str | bytes, prefix: str = "table.csv"):
    """Make a maker of a folder with a table and its files."""

    def make(place):
        paths = write_good(place)
        shutil.copy(paths[0], place.given / "good" / "9.wav")
        import soundfile

        wave, rate = soundfile.read(paths[1])
        soundfile.write(place.outside / "mine" / "own.flac", wave[::-1], rate)
        os.mkfifo(place.given / "fifo.wav")
        (place.given / "loop.wav").symlink_to("loop.wav")
        (place.given / "dangling.wav").symlink_to("nowhere.wav")
        (place.given / "zero.wav").symlink_to("/dev/zero")
        (place.given / "hole.wav").touch()
        os.truncate(place.given / "hole.wav", 2**40)
        content = text.encode() if isinstance(text, str) else text
        content = content.replace(b"OUTSIDE", os.fsencode(place.outside))
        (place.given / prefix).write_bytes(content)

    return make


def prepare_rows(place) -> Result:
    """Prepare; every row with a path must be taken or skipped."""
    result = prepare(place)
    text = (place.given / "table.csv").read_bytes()
    data = sum(bool(row.strip(b", ")) for row in text.splitlines()) - 1
    if b'"' not in text and not result.lost:
        taken, skipped = read_prepared(place.out)
        if len(taken) + len(skipped) < data:
            found = f"{len(taken)} + {len(skipped)}"
            result.lost = f"rows: {found} of {data} are accounted for"
    return result


def prepare_text(place) -> Result:
    """Prepare; nothing needs to be taken."""
    result = prepare(place)
    result.lost = ""
    return result


def special(make_table):
    """Make a maker of a folder whose table is something else."""

    def make(place):
        write_good(place)
        make_table(place.given / "table.csv")

    return make


def cases() -> list[Case]:
    """List the cases."""
    found = [
        Case(f"table: {name}", "table", with_table(text), prepare_rows,
             "either")
        for name, text in LINES.items()
    ]  # fmt: skip
    found += [
        Case(f"table: {name}", "table", with_table(text), prepare_text,
             "either")
        for name, text in TEXTS.items()
    ]  # fmt: skip
    found.append(
        Case("table: harmless", "table", with_table(rows()), prepare_rows,
             "either")
    )  # fmt: skip
    for name, put in {
        "a FIFO": os.mkfifo,
        "a folder": os.mkdir,
        "a link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
        "standard input": lambda path: path.symlink_to("/dev/stdin"),
        "a link to itself": lambda path: path.symlink_to("table.csv"),
    }.items():
        case = Case(f"table: {name}", "table", special(put), special_run,
                    "either")  # fmt: skip
        found.append(case)
    return found


def special_run(place) -> Result:
    """Prepare the path of the table itself, whatever it is."""
    from speechbrain_ext.corpora import folder

    folder.prepare(place.given / "table.csv", place.out, sample_rate=8000)
    return Result(True)
