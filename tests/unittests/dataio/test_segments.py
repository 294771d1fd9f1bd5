import os

import numpy as np
import pytest
import soundfile

from speechbrain_ext.dataio import Recording, SegmentReader

RATE = 8000


def staircase(samples, offset=0.125):
    """A signal whose values tell where in the file they stand."""
    return offset + np.arange(samples) / 2**15


# a chunk of a WAV that says something of it
NOTE = b"LIST\x10\0\0\0INFOISFT\x04\0\0\0note"


def insert(path, place, chunk):
    """Put a chunk into a WAV, which then says that it is so much longer."""
    with open(path, "r+b") as file:
        content = file.read()
        size = (len(content) + len(chunk) - 8).to_bytes(4, "little")
        content = content[:4] + size + content[8:]
        file.seek(0)
        file.write(content[:place] + chunk + content[place:])


def read_many(reader, index=0, number=200):
    generator = np.random.default_rng(0)
    return [reader.read(index, generator) for _ in range(number)]


class TestSegmentReader:
    def test_a_crop_is_the_file_at_one_place(self, write):
        recording = write("a", staircase(2000))
        starts = set()
        for segment in read_many(
            SegmentReader([recording], segment_samples=1990)
        ):
            assert segment.dtype == np.float32 and segment.shape == (1990,)
            starts.add(round((segment[0] - 0.125) * 2**15))
            np.testing.assert_allclose(np.diff(segment), 1 / 2**15, atol=1e-6)
        # every place from the first to the last possible one
        assert starts == set(range(11))

    def test_a_segment_as_long_as_the_file(self, write):
        recording = write("a", staircase(50))
        (segment,) = read_many(
            SegmentReader([recording], segment_samples=50), number=1
        )
        np.testing.assert_allclose(segment, staircase(50), atol=1e-4)

    def test_a_short_recording_stands_anywhere_among_zeros(self, write):
        recording = write("a", np.full(5, 0.5))
        places = set()
        for segment in read_many(SegmentReader([recording], segment_samples=8)):
            (there,) = np.nonzero(segment)
            assert list(np.diff(there)) == [1] * 4
            places.add(int(there[0]))
        assert places == {0, 1, 2, 3}

    def test_the_buffer_is_filled_and_returned(self, write):
        reader = SegmentReader([write("a", np.ones(9))], segment_samples=20)
        out = np.full(20, np.nan, np.float32)
        assert reader.read(0, np.random.default_rng(0), out) is out
        assert np.isfinite(out).all()

    def test_silent_crops_are_redrawn(self, write):
        # half of the file is silent: 6 draws in a row are rarely so
        samples = np.zeros(20000)
        samples[10000:] = 0.1
        reader = SegmentReader([write("a", samples)], segment_samples=100)
        segments = read_many(reader)
        assert all((s**2).mean() > 1e-5 for s in segments)
        # and they are not all the loudest one
        assert sum(s.min() == 0 for s in segments) < 20
        assert len({s.tobytes() for s in segments}) > 1

    def test_the_loudest_is_found_in_a_nearly_silent_file(self, write):
        samples = np.zeros(100000)
        samples[70003:70007] = [0.4, -0.5, 0.6, -0.7]
        reader = SegmentReader([write("a", samples)], segment_samples=40)
        for segment in read_many(reader, number=20):
            np.testing.assert_allclose(
                segment[segment != 0], samples[70003:70007], atol=1e-4
            )

    def test_crops_of_a_quiet_file_are_random_too(self, write):
        quiet = 1e-3 * np.random.default_rng(0).standard_normal(8000)
        reader = SegmentReader([write("a", quiet)], segment_samples=100)
        assert len({s.tobytes() for s in read_many(reader)}) > 150

    @pytest.mark.slow
    def test_what_was_read_before_does_not_matter(self, write):
        samples = np.zeros(20000)
        samples[15000:] = 0.1 * np.random.default_rng(1).random(5000)
        recording = write("a", samples)
        used = SegmentReader([recording], segment_samples=100)
        read_many(used, number=50)
        for seed in range(50):
            fresh = SegmentReader([recording], segment_samples=100)
            np.testing.assert_array_equal(
                used.read(0, np.random.default_rng(seed)),
                fresh.read(0, np.random.default_rng(seed)),
            )

    def test_a_missing_file(self, write):
        recording = write("a", staircase(100))
        os.remove(recording.path)
        reader = SegmentReader([recording], segment_samples=50)
        with pytest.raises(FileNotFoundError, match=recording.path):
            read_many(reader, number=1)

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda path: soundfile.write(path, staircase(90), RATE),
            lambda path: soundfile.write(path, staircase(100), 16000),
            lambda path: os.truncate(path, 144),
        ],
        ids=["shorter", "other_rate", "truncated"],
    )
    def test_a_file_that_changed(self, write, spoil):
        recording = write("a", staircase(100))
        spoil(recording.path)
        reader = SegmentReader([recording], segment_samples=50)
        with pytest.raises(
            ValueError, match=f"{recording.path} has .*manifest says 100"
        ):
            read_many(reader, number=1)

    def test_a_file_that_is_no_audio(self, write):
        recording = write("a", staircase(100))
        with open(recording.path, "w") as file:
            file.write("no audio")
        reader = SegmentReader([recording], segment_samples=50)
        with pytest.raises(ValueError, match=f"{recording.path} cannot be"):
            read_many(reader, number=1)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_a_file_that_holds_anything_but_numbers(self, write, value):
        recording = write("a", np.full(100, value), subtype="FLOAT")
        reader = SegmentReader([recording], segment_samples=50)
        with pytest.raises(ValueError, match="a.wav holds samples that are no"):
            read_many(reader, number=1)

    @pytest.mark.parametrize("subtype", ["FLOAT", "PCM_24"])
    def test_any_kind_of_samples(self, write, subtype):
        recording = write("a", np.full(100, 0.1), subtype=subtype)
        reader = SegmentReader([recording], segment_samples=50)
        (segment,) = read_many(reader, number=1)
        np.testing.assert_allclose(segment, 0.1, atol=2**-23)

    @pytest.mark.parametrize(
        "rewrite",
        [
            lambda path, samples: soundfile.write(
                path, samples, RATE, format="WAVEX", subtype="PCM_16"
            ),
            lambda path, samples: soundfile.write(
                path, samples, RATE, format="FLAC", subtype="PCM_16"
            ),
            lambda path, samples: insert(path, 36, NOTE),
            lambda path, samples: insert(path, os.path.getsize(path), NOTE),
        ],
        ids=["extensible", "flac", "chunk_before", "chunk_after"],
    )
    def test_wherever_its_samples_stand(self, write, rewrite):
        samples = staircase(3000)
        plain, other = write("a", samples), write("b", samples)
        rewrite(other.path, samples)
        for first, second in zip(
            read_many(SegmentReader([plain], segment_samples=100)),
            read_many(SegmentReader([other], segment_samples=100)),
            strict=True,
        ):
            np.testing.assert_array_equal(first, second)

    def test_of_several_channels_the_first_is_taken(self, write):
        samples = np.stack((staircase(100), np.zeros(100)), -1)
        reader = SegmentReader([write("a", samples)], segment_samples=100)
        (segment,) = read_many(reader, number=1)
        np.testing.assert_allclose(segment, staircase(100), atol=2**-15)

    @pytest.mark.parametrize("segment_samples", [50, 200])
    def test_a_file_that_is_silent_throughout(self, write, segment_samples):
        reader = SegmentReader(
            [write("a", np.zeros(100))], segment_samples=segment_samples
        )
        with pytest.raises(ValueError, match="a.wav is silent throughout"):
            read_many(reader, number=1)

    def test_wrong_arguments(self, write):
        with pytest.raises(ValueError, match="there are no recordings"):
            SegmentReader([], segment_samples=10)
        with pytest.raises(ValueError, match="segment_samples is 0"):
            SegmentReader([write("a", staircase(9))], segment_samples=0)
        recordings = [
            Recording("a", "/a.wav", 9, 8000, "noise", "train"),
            Recording("b", "/b.wav", 9, 16000, "noise", "train"),
        ]
        with pytest.raises(ValueError, match="8000 Hz .*, 16000 Hz .*b.wav"):
            SegmentReader(recordings, segment_samples=10)


class TestFilesThatAreLost:
    """One in twenty may go while a run is under way."""

    def make(self, write, number):
        recordings = [
            write(f"r{place}", np.full(40, (place + 1) / 64))
            for place in range(number)
        ]
        return SegmentReader(recordings, segment_samples=20)

    def level(self, reader, index):
        segment = reader.read(index, np.random.default_rng(0))
        return round(float(segment[0]) * 64) - 1

    def test_the_next_one_is_read_instead(self, write, caplog):
        reader = self.make(write, 60)
        for index, lose in (
            (5, os.remove),
            (59, lambda path: open(path, "w").close()),
            (6, lambda path: soundfile.write(path, np.zeros(40), RATE)),
        ):
            path = reader.recordings[index].path
            lose(path)
            caplog.clear()
            after = (index + 1) % 60
            assert self.level(reader, index) == after
            assert path in caplog.text
            assert reader.recordings[after].path in caplog.text
            caplog.clear()
            assert self.level(reader, index) == after
            # it is told once
            assert not caplog.text
        # what was read in the place of 5 was lost itself
        assert self.level(reader, 5) == 7 and reader.id_of(5) == "r7"
        assert self.level(reader, 8) == 8 and reader.id_of(8) == "r8"
        # a fourth of 60 is too many
        os.remove(reader.recordings[20].path)
        with pytest.raises(FileNotFoundError, match="r20"):
            self.level(reader, 20)
