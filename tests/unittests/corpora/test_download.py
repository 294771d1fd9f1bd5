"""Downloads from a server on 127.0.0.1 that can be made to fail."""

import gzip
import hashlib
import io
import os
import shutil
import tarfile
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

import pytest
from file_server import serve
from hostile import archives
from hostile.case import Place

from speechbrain_ext.corpora import download
from speechbrain_ext.corpora.download import Archive, fetch_folder, unpack

FILES = {
    "data/list.txt": b"a\tb\n",
    "data/train/a.bin": os.urandom(300_000),
}


def tar_gz(files, **member):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in member.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


CONTENT = tar_gz(FILES)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)


@pytest.fixture
def server():
    with serve(CONTENT) as file:
        yield file


def archive(url, content=CONTENT, **changed):
    fields = {
        "url": url,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "unpacked_size": 300_004,
    }
    return Archive(**fields | changed)


def found_in(folder):
    return {
        path.relative_to(folder.parent).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_folder_is_all_that_is_left(tmp_path, server):
    folder = fetch_folder(archive(server.url), tmp_path / "in/data")
    assert folder == tmp_path / "in/data"
    assert found_in(folder) == FILES
    assert os.listdir(tmp_path / "in") == ["data"]
    assert server.asked == [0]


def test_a_folder_that_is_there_is_left_alone(tmp_path, server):
    (tmp_path / "data").mkdir()
    fetch_folder(archive(server.url), tmp_path / "data")
    assert server.asked == [] and os.listdir(tmp_path / "data") == []


@pytest.mark.parametrize("resets", [False, True])
def test_cut_connections_are_gone_on_with(tmp_path, server, resets):
    server.cuts = [100_000, 50_000, 0]
    server.resets = resets
    folder = fetch_folder(archive(server.url), tmp_path / "data")
    assert found_in(folder) == FILES
    assert len(server.asked) == 4
    assert server.asked[0] == 0
    assert server.asked == sorted(server.asked)
    if not resets:  # a reset may take bytes along that were under way
        assert server.asked == [0, 100_000, 150_000, 150_000]


def test_a_later_call_goes_on_with_what_has_arrived(tmp_path, server):
    (tmp_path / "a.tar.gz.part").write_bytes(CONTENT[:123_456])
    folder = fetch_folder(archive(server.url), tmp_path / "data")
    assert found_in(folder) == FILES
    assert server.asked == [123_456]


def test_a_file_that_is_whole_is_not_asked_for(tmp_path, server):
    (tmp_path / "a.tar.gz.part").write_bytes(CONTENT)
    fetch_folder(archive(server.url), tmp_path / "data")
    assert os.listdir(tmp_path) == ["data"]
    assert server.asked == []


def test_an_archive_that_lay_there_is_used_and_kept(tmp_path, server):
    (tmp_path / "a.tar.gz").write_bytes(CONTENT)
    folder = fetch_folder(archive(server.url), tmp_path / "data")
    assert found_in(folder) == FILES
    assert (tmp_path / "a.tar.gz").read_bytes() == CONTENT
    assert server.asked == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CONTENT[:-1], f"gz has {len(CONTENT) - 1} bytes, not {len(CONTENT)}"),
        (CONTENT[:-1] + b"x", r"gz has the SHA-256 \w{64}, not \w{64}: it is"),
    ],
    ids=["short", "changed"],
)
def test_a_damaged_archive_that_lay_there_is_told_and_kept(
    tmp_path, server, content, message
):
    (tmp_path / "a.tar.gz").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        fetch_folder(archive(server.url), tmp_path / "data")
    assert os.listdir(tmp_path) == ["a.tar.gz"]
    assert (tmp_path / "a.tar.gz").read_bytes() == content
    assert server.asked == []


def test_a_server_without_ranges_starts_anew(tmp_path, server):
    server.knows_ranges = False
    server.cuts = [100_000]
    folder = fetch_folder(archive(server.url), tmp_path / "data")
    assert found_in(folder) == FILES
    assert server.asked == [0, 100_000]
    (tmp_path / "a.tar.gz.part").write_bytes(b"x" * 1000)
    shutil.rmtree(folder)
    assert found_in(fetch_folder(archive(server.url), folder)) == FILES


def test_a_part_that_is_too_long_is_thrown_away(tmp_path, server):
    (tmp_path / "a.tar.gz.part").write_bytes(CONTENT + b"x")
    folder = fetch_folder(archive(server.url), tmp_path / "data")
    assert found_in(folder) == FILES
    assert server.asked == [0]


@pytest.mark.parametrize("where", ["at the server", "here"])
def test_a_wrong_checksum_is_an_error_once(tmp_path, server, where):
    wanted = archive(server.url)
    if where == "here":
        (tmp_path / "a.tar.gz.part").write_bytes(b"x" * 1000)
    else:
        server.content = CONTENT[:-1] + b"x"
    with pytest.raises(ValueError, match=r"SHA-256 \w{64}, not \w{64}"):
        fetch_folder(wanted, tmp_path / "data")
    assert os.listdir(tmp_path) == []
    server.content = CONTENT
    assert found_in(fetch_folder(wanted, tmp_path / "data")) == FILES


@pytest.mark.slow
@pytest.mark.parametrize("change", [-1000, 1])
def test_a_file_of_another_size_is_no_success(tmp_path, server, change):
    server.content = (CONTENT + b"x")[: len(CONTENT) + change]
    message = rf"a\.tar\.gz could not be .*\({len(server.content)} of"
    with pytest.raises(OSError, match=message):
        fetch_folder(archive(server.url), tmp_path / "data")
    assert not (tmp_path / "data").exists()
    assert len(server.asked) == (1 if change > 0 else download.ATTEMPTS + 1)
    server.content = CONTENT
    assert found_in(fetch_folder(archive(server.url), tmp_path / "data"))


def test_a_server_at_fault_is_asked_again(tmp_path, server, monkeypatch):
    server.refusal = 503

    def recover(seconds):
        server.refusal = None

    monkeypatch.setattr("time.sleep", recover)
    folder = fetch_folder(archive(server.url), tmp_path / "data")
    assert found_in(folder) == FILES
    assert server.asked == [0, 0]


def test_what_the_server_refuses_is_told_and_the_part_kept(tmp_path, server):
    (tmp_path / "a.tar.gz.part").write_bytes(CONTENT[:1000])
    server.refusal = 404
    with pytest.raises(OSError, match="(?s)404.*is kept in .*gz.part"):
        fetch_folder(archive(server.url), tmp_path / "data")
    assert server.asked == [1000]
    assert (tmp_path / "a.tar.gz.part").read_bytes() == CONTENT[:1000]


def test_a_server_that_is_gone_is_tried_several_times(tmp_path, caplog):
    with serve(CONTENT) as file:
        url = file.url
    with pytest.raises(OSError, match="ConnectError.*resumes from there"):
        fetch_folder(archive(url), tmp_path / "data")
    ours = [r for r in caplog.records if r.name == download.__name__]
    assert len(ours) == download.ATTEMPTS - 1


def test_too_little_room_is_told_before_anything_is_fetched(
    tmp_path, server, monkeypatch
):
    usage = namedtuple("usage", "total used free")
    (tmp_path / "a.tar.gz.part").write_bytes(CONTENT[:100_000])
    needed = len(CONTENT) - 100_000 + 300_004
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: usage(0, 0, needed - 1)
    )
    with pytest.raises(OSError, match="needs 0.0 GB more and its disk has"):
        fetch_folder(archive(server.url), tmp_path / "data")
    assert server.asked == []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, needed))
    assert found_in(fetch_folder(archive(server.url), tmp_path / "data"))


def test_unpacking_that_was_killed_is_done_again(tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(CONTENT)
    left = tmp_path / ".data.unpacking" / "data" / "half.wav"
    left.parent.mkdir(parents=True)
    left.touch()
    folder = unpack(tmp_path / "a.tar.gz", tmp_path / "data")
    assert found_in(folder) == FILES
    assert sorted(os.listdir(tmp_path)) == ["a.tar.gz", "data"]


def extended(*records, kind=tarfile.XHDTYPE):
    """A good file, one behind headers of their own, and a third one."""
    blocks = [tarfile.TarInfo("data/a").tobuf()]
    for content in records:
        info = tarfile.TarInfo("header")
        info.type, info.size = kind, len(content)
        blocks += info.tobuf(), content, bytes(-len(content) % 512)
    blocks += [tarfile.TarInfo(f"data/{x}").tobuf() for x in "bc"]
    return gzip.compress(b"".join(blocks) + bytes(1024))


def record(keyword, value):
    """A record of an extended header, with its length of three digits."""
    return b"%03d %s=%s\n" % (6 + len(keyword + value), keyword, value)


def test_good_records_are_taken(tmp_path):
    path = tmp_path / "a.tar.gz"
    good = record(b"comment", b"9" * 299) + record(b"path", b"data/long")
    path.write_bytes(extended(good, record(b"mtime", b"1.5")))
    folder = unpack(path, tmp_path / "data")
    assert sorted(os.listdir(folder)) == ["a", "c", "long"]


LONG = tarfile.GNUTYPE_LONGNAME
UNFIT = {
    "record-of-no-length": (extended(b"0 path=x\n"), "damaged"),
    "record-that-is-none": (extended(b"path=data/x\n"), "damaged"),
    "record-too-long": (extended(b"99 path=data/x\n"), "damaged"),
    "record-too-short": (extended(b"8 path=data/x\n"), "damaged"),
    "second-record": (extended(record(b"a", b"b") + b"x"), "damaged"),
    "digits": (extended(b"1" * 60_000), "number of 300 digits"),
    "digits-in-a-record": (
        extended(record(b"comment", b"1" * 400)),
        "number of 300 digits",
    ),
    "headers": (extended(*[record(b"a", b"b")] * 5), "more than 4 headers"),
    "many-headers": (
        extended(*[record(b"a", b"b")] * 3000),
        "more than 4 headers",
    ),
    "global-headers": (
        extended(*[record(b"a", b"b")] * 900, kind=tarfile.XGLTYPE),
        "more than 4 headers",
    ),
    "long-names": (extended(*[b"a"] * 900, kind=LONG), "more than 4 headers"),
    "holes-0.0": (extended(record(b"GNU.sparse.size", b"9")), "special file"),
    "holes-0.1": (extended(record(b"GNU.sparse.map", b"0,9")), "special file"),
    "holes-1.0": (extended(record(b"GNU.sparse.major", b"1")), "special file"),
    "no-name": (extended(b"\0", kind=LONG), "is no name of a file"),
    "no-name-in-a-record": (extended(record(b"path", b"")), "no name of a"),
    "file-as-folder": (extended(b"data/x/", kind=LONG), "no name of a file"),
}


# those of tools/try_hostile.py as well
HOSTILE = {
    case.name: case for case in archives.cases() if case.expect == "refused"
}


@pytest.mark.parametrize(
    ("content", "message"), UNFIT.values(), ids=list(UNFIT)
)
def test_headers_that_are_not_what_they_should_be(tmp_path, content, message):
    path = tmp_path / "in" / "a.tar.gz"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        unpack(path, tmp_path / "in" / "data")
    assert os.listdir(tmp_path / "in") == ["a.tar.gz"]


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives_leave_nothing(tmp_path, name):
    place = Place(tmp_path)
    for folder in (place.given, place.outside, place.out):
        folder.mkdir()
    HOSTILE[name].make(place)
    with pytest.raises(ValueError) as error:
        HOSTILE[name].run(place)
    assert str(error.value).isprintable() and len(str(error.value)) < 3000
    assert os.listdir(place.outside) == os.listdir(place.out) == []
    assert sorted(os.listdir(tmp_path)) == ["given", "out", "outside"]


@pytest.mark.slow
def test_much_that_is_small_is_counted_together(tmp_path):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(tar_gz({f"data/{n}": bytes(2**20) for n in range(40)}))
    with pytest.raises(ValueError, match="unpacks to more than it should"):
        unpack(path, tmp_path / "data", unpacked_size=2**20)
    assert os.listdir(tmp_path) == ["a.tar.gz"]
    assert unpack(path, tmp_path / "data", unpacked_size=40 * 2**20).is_dir()


def test_what_lies_beside_the_folder_is_left_out_with_a_line(tmp_path, caplog):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(tar_gz({"data/a": b"x", "._data": b"", "more/b": b"y"}))
    folder = unpack(path, tmp_path / "data")
    assert os.listdir(folder) == ["a"]
    assert sorted(os.listdir(tmp_path)) == ["a.tar.gz", "data"]
    assert "left out what is not in data: ._data, more" in caplog.text


def test_a_second_process_waits_and_downloads_nothing(tmp_path, server):
    with ThreadPoolExecutor(2) as pool:
        calls = [
            pool.submit(fetch_folder, archive(server.url), tmp_path / "data")
            for _ in range(2)
        ]
    assert [found_in(call.result()) for call in calls] == [FILES, FILES]
    assert server.asked == [0]


def test_what_an_archive_says_about_rights_is_not_believed(tmp_path):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(tar_gz({"data/a": b"x"}, mode=0o4777))
    folder = unpack(path, tmp_path / "data")
    assert (folder / "a").stat().st_mode & 0o7022 == 0
