import numpy as np
import pytest
import soundfile

from speechbrain_ext.dataio import find_references, read_references
from speechbrain_ext.dataio.manifest import write_manifest
from speechbrain_ext.dataio.recordings import Recording


@pytest.fixture
def prepared(tmp_path):
    """Write (id, samples) as recordings at level 0.5; give the manifest."""

    def prepare(*rows, split="test"):
        recordings = []
        for identity, samples in rows:
            path = tmp_path / f"{identity}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, np.full(samples, 0.5), 8000)
            kind = identity.partition("/")[0]
            recordings.append(
                Recording(identity, str(path), samples, 8000, kind, split)
            )
        write_manifest(tmp_path / "manifest.csv", recordings)
        return tmp_path / "manifest.csv"

    return prepare


def test_references_are_found_by_their_names(prepared):
    manifest = prepared(
        ("mixture/test/b", 9),
        ("mixture/test/a", 9),
        ("noise/test/a/background", 9),
        ("speech/test/a/adam", 9),
        ("event/test/a/bell", 9),
        ("event/test/b/bell", 9),
        # others of the corpus, of no mixture
        ("noise/test/rain", 9),
        ("speech/test/aa/adam", 9),
    )
    first, second = find_references(manifest, split="test")
    assert first.mixture.id == "mixture/test/a"
    assert [recording.id for recording in first.references] == [
        "speech/test/a/adam",
        "noise/test/a/background",
        "event/test/a/bell",
    ]
    assert [recording.id for recording in second.references] == [
        "event/test/b/bell"
    ]


def test_what_is_missing_is_named(prepared):
    manifest = prepared(("noise/a/rain", 9))
    with pytest.raises(ValueError, match="no mixtures of test"):
        find_references(manifest, split="test")
    with pytest.raises(ValueError, match="split=valid"):
        find_references(manifest, split="valid")
    manifest = prepared(("mixture/a", 9), ("noise/b/rain", 9))
    with pytest.raises(ValueError, match="mixture/a has no references; .*/a/"):
        find_references(manifest, split="test")


def test_rows_of_no_kind_are_mixtures(tmp_path):
    for name in "ab":
        soundfile.write(tmp_path / f"{name}.wav", [0.1] * 9, 8000)
    path = tmp_path / "train.csv"
    path.write_text(
        "ID,duration,wav,spk_id\na,1,$data_root/a.wav,\nb/c,1,b.wav,\n"
    )
    found = find_references(path, root=tmp_path, required=False)
    assert [clip.mixture.id for clip in found] == ["a", "b/c"]
    assert [clip.mixture.samples for clip in found] == [9, 9]


def test_references_are_read_and_filled_up(prepared):
    manifest = prepared(("mixture/a", 9), ("event/a/x", 9), ("event/a/y", 9))
    (found,) = find_references(manifest, split="test")
    references = read_references(found, sources=3)
    assert references.mean(1).tolist() == [0.5, 0.5, 0.0]
    assert read_references(found).shape == (2, 9)
    with pytest.raises(ValueError, match="mixture/a has 2 references; sources"):
        read_references(found, sources=1)


def test_references_of_another_length_are_refused(prepared):
    manifest = prepared(("mixture/a", 9), ("event/a/x", 9), ("event/a/y", 8))
    (found,) = find_references(manifest, split="test")
    with pytest.raises(ValueError, match="event/a/y has 8 samples, its mix"):
        read_references(found)


def test_a_file_that_was_changed_is_noticed(prepared, tmp_path):
    manifest = prepared(("mixture/a", 9), ("event/a/x", 9))
    (found,) = find_references(manifest, split="test")
    soundfile.write(tmp_path / "event/a/x.wav", np.zeros(7), 8000)
    with pytest.raises(ValueError, match="has 7 samples at 8000 Hz"):
        read_references(found)
    (tmp_path / "event/a/x.wav").unlink()
    with pytest.raises(FileNotFoundError, match="x.wav is in the manifest"):
        read_references(found)
