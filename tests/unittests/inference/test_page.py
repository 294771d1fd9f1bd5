"""The page that `separate` and `enhance` write with --page."""

import base64
import io
import json
import logging
import re
from pathlib import Path
from urllib.parse import unquote

import pytest
import soundfile
from pages import Page

from speechbrain_ext.commands.program import main
from speechbrain_ext.corpora.finding import find_audio
from speechbrain_ext.outputs import is_output
from speechbrain_ext.services import recordings_page
from speechbrain_ext.services.recordings_page import RecordingsPage


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    """Without DNSMOS, which takes seconds where it is installed."""
    monkeypatch.setattr(recordings_page, "available", lambda: {"dnsmos": False})


@pytest.fixture
def run(models, capsys):
    """Run a command with --page; gives the page, or what it failed with."""

    def command(name, root, out, *words, status=0):
        kind = {"separate": "separator", "enhance": "enhancer"}[name]
        model = ["--model", str(models / kind), "--page"]
        words = [name, str(root), "--out", str(out), *model, *words]
        capsys.readouterr()
        if status:
            with pytest.raises(SystemExit) as ended:
                main(words)
            assert ended.value.code == status
            if status == 1:
                return capsys.readouterr().err
        else:
            main(words)
        return Page(out / "index.html")

    return command


def names_of(page):
    """The headings of the items, in their order."""
    pieces = re.findall(r"<h3[^>]*>(.*?)</h3>", page.path.read_text())
    return [piece.strip() for piece in pieces]


def labels_of(page):
    """What the sounds are called."""
    return re.findall(r"</kbd> <span>(.*?)</span>", page.path.read_text())


def sounds_of(page):
    """What the players lead to."""
    return [dict(tag)["src"] for name, tag in page.tags if name == "audio"]


def decoded(address):
    kind, _, content = address.partition(";base64,")
    assert kind == "data:audio/flac"
    return soundfile.read(io.BytesIO(base64.b64decode(content)))


@pytest.mark.slow
def test_a_page_of_a_folder(tmp_path, say, run, models, monkeypatch):
    for name in ("a", "b", "deep/c"):
        say(tmp_path / f"in/{name}.wav", rate=11025)
    (tmp_path / "in/deep/bad.wav").write_text("a text")
    page = run("separate", tmp_path / "in", tmp_path / "out", status=2)
    assert sorted(names_of(page)) == ["a.wav", "b.wav", "deep/c.wav"]
    assert "deep/bad.wav: " in page.text and "Skipped" in page.text
    # nothing of it tells where it was made
    assert str(tmp_path) not in page.path.read_text()
    assert "Model: separator" in page.text
    monkeypatch.chdir(models.parent)
    page = run("separate", tmp_path / "in", tmp_path / "out2", status=2)
    assert f"Model: {models.name}/separator" in page.text
    assert "speechbrain-ext separate DIR --out DIR --model DIR" in page.text
    sounds = sounds_of(page)
    assert len(sounds) == 9
    place = names_of(page).index("deep/c.wav")
    paths = [tmp_path / "in/deep/c.wav"]
    paths += [tmp_path / f"out/deep/c_source{n}.wav" for n in (1, 2)]
    peak = max(abs(soundfile.read(path)[0]).max() for path in paths)
    for path, sound in zip(paths, sounds[3 * place :], strict=False):
        wanted, rate = soundfile.read(path)
        found, found_rate = decoded(sound)
        assert rate == found_rate == 11025
        gain = 0.99 / max(0.99, peak)
        assert abs(found - gain * wanted).max() < 2**-14
    # two voices: the shipped estimator tells how good each is
    assert len(re.findall(r"Blind SI-SNR\s+\S+ ± \S+ dB", page.text)) == 6


def test_a_page_of_enhanced_recordings(tmp_path, say, run):
    page = run("enhance", say(tmp_path / "a.wav"), tmp_path / "out")
    assert len(sounds_of(page)) == 2 and "SI-SNR" not in page.text
    labels = labels_of(page)
    assert labels == ["Recording", "Output"]
    assert "Contents" not in page.text and "Skipped" not in page.text


@pytest.mark.slow
def test_the_worst_comes_first(tmp_path, say, run, monkeypatch):
    scores = {"a": (9.0, 8.0), "b": (-3.0, 30.0), "c": (-2.0, 3.5)}
    for name in [*scores, "d"]:
        say(tmp_path / f"in/{name}.wav")

    def score_files(_, pairs):
        ((mixture, estimates),) = pairs.items()
        if mixture.stem == "d":
            raise ValueError(f"{mixture}: is too short")
        return [
            {"estimate": estimate, "si_snr": score, "error": 1.25}
            for estimate, score in zip(
                estimates, scores[mixture.stem], strict=True
            )
        ]

    monkeypatch.setattr(recordings_page, "score_files", score_files)
    page = run("separate", tmp_path / "in", tmp_path / "out")
    # what has no score comes last, with the reason
    assert names_of(page) == ["c.wav", "a.wav", "b.wav", "d.wav"]
    text = " ".join(page.text.split())
    assert "Blind SI-SNR −2.0 ± 1.2 dB" in text
    assert "The SI-SNR is not estimated: DIR: is too short" in text
    assert "The worst recording comes first" in text


@pytest.mark.parametrize("fails", [False, True])
def test_opinion_scores_where_they_are_installed(
    tmp_path, say, run, monkeypatch, fails
):
    heard = []

    def dnsmos(*, estimate, sample_rate):
        heard.append(len(estimate) / sample_rate)
        if fails:
            raise ValueError("a silent signal has no DNSMOS")
        return dict(ovrl=1.5 + len(heard), sig=2.5, bak=3.5, p808=0.5)

    monkeypatch.setattr(recordings_page, "available", lambda: {"dnsmos": True})
    monkeypatch.setattr(recordings_page, "dnsmos", dnsmos)
    path = say(tmp_path / "a.wav", seconds=40)
    page = run("enhance", path, tmp_path / "out")
    # the beginning only: it takes long
    assert heard == [15.0, 15.0]
    text = " ".join(page.text.split())
    if fails:
        assert text.count("DNSMOS is not measured: a silent signal") == 2
    else:
        assert "DNSMOS overall 2.50 DNSMOS speech 2.50" in text
        assert "DNSMOS overall 3.50" in text


def test_sounds_beyond_the_limit_lie_beside(tmp_path, say, run, monkeypatch):
    for name in ("a", "b", "c#1"):
        say(tmp_path / f"in/{name}.wav", seconds=2)
    page = run("enhance", tmp_path / "in", tmp_path / "all")
    size = sum(
        len(base64.b64decode(sound.partition(",")[2]))
        for sound in sounds_of(page)[:2]
    )
    # room for one recording
    monkeypatch.setattr(recordings_page, "INSIDE", size)
    page = run("enhance", tmp_path / "in", tmp_path / "out")
    sounds = sounds_of(page)
    inside = [sound for sound in sounds if sound.startswith("data:")]
    assert sounds[:2] == inside
    assert sounds[2:] == [
        *("../in/b.wav", "b_enhanced.wav"),
        *("../in/c%231.wav", "c%231_enhanced.wav"),
    ]
    for link in sounds[2:]:
        assert (tmp_path / "out" / unquote(link)).is_file()


def test_no_link_leads_through_a_home_folder(tmp_path, say, run, monkeypatch):
    monkeypatch.setattr(recordings_page, "INSIDE", 0)
    path = say(tmp_path / "people/zoe/talk.wav")
    links = ["../people/zoe/talk.wav", "talk_enhanced.wav"]
    assert sounds_of(run("enhance", path, tmp_path / "out")) == links
    # as if the home folders were those of this folder
    monkeypatch.setattr(
        recordings_page, "home_pattern", lambda: re.compile("/people/zoe")
    )
    page = run("enhance", path, tmp_path / "out")
    assert sounds_of(page) == links[1:]
    assert "lies elsewhere" in page.text
    assert "zoe" not in page.path.read_text()
    radios = [tag for _, tag in page.tags if tag.get("type") == "radio"]
    assert ["disabled" in radio for radio in radios] == [True, False]


def test_the_error_is_the_estimators_own_if_it_tells_one(
    tmp_path, say, monkeypatch
):
    path = say(tmp_path / "a.wav")
    page = RecordingsPage(tmp_path / "index.html", of_voices=True)
    for row, shown in (
        ({"si_snr": 7.25, "error": 0.75}, "7.2 ± 0.8"),
        # as its card tells it, of the harder test
        ({"si_snr": -1.0}, "\N{MINUS SIGN}1.0 ± 2.0"),
    ):
        monkeypatch.setattr(
            recordings_page, "score_files", lambda *_, row=row: [row, row]
        )
        page.add("a", path, [path, path])
        (score,) = page.items[-1][1].tracks[1].scores
        assert (score.value, score.unit) == (shown, "dB")


def test_a_page_tells_no_secrets(tmp_path, say, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "zoe"))
    path = say(tmp_path / "a.wav")
    page = RecordingsPage(tmp_path / "index.html")
    page.add("a", path, [path])
    words = ["enhance", f"{tmp_path}/zoe/my talks", "--token=hf_abcDEF01234"]
    words += ["talks/one two.wav", "--out=../x", "--api-key", "s3cr3t99"]
    page.write(
        title="x",
        notes=[],
        words=words,
        failures=[f"b.wav: no such file {tmp_path}/zoe/b, hf_abcDEF01234"],
    )
    text = Page(page.path).text
    for word in ("zoe", "my talks", "hf_", "s3cr3t", "../x"):
        assert word not in text
    assert "speechbrain-ext enhance DIR '--token=***' 'talks/one" in text


NASTY = "</script><script>alert(1)<!-- {{ 7 * 7 }} &amp; \"'"


@pytest.mark.slow
@pytest.mark.parametrize("name", [
    NASTY.replace("/", ""), "javascript:alert(1)", "a\x1b[31m\u202eb",
    "b\udcffc", "é" * 120, "-rf", "a\nb",
])  # fmt: skip
def test_strange_names_are_only_text(tmp_path, say, run, monkeypatch, name):
    for limit in (10**7, 0):
        monkeypatch.setattr(recordings_page, "INSIDE", limit)
        say(tmp_path / "in" / f"{name}.wav", format="WAV")
        (tmp_path / "in/bad").mkdir(exist_ok=True)
        (tmp_path / "in/bad" / f"{name}.wav").write_text("a text")
        page = run("enhance", tmp_path / "in", tmp_path / "out", status=2)
        assert [tag for tag, _ in page.tags].count("script") == 1
        assert "alert" not in "".join(
            value or "" for _, tag in page.tags for value in tag
        )
        text = page.path.read_bytes().decode("utf-8")
        assert "\x1b" not in text and "\u202e" not in text
        assert "<script>alert" not in text
        if "{{" in name:
            assert "{{ 7 * 7 }}" in page.text
        for link in page.links:
            if not link.startswith("#"):
                file = (
                    tmp_path / "out" / unquote(link, errors="surrogateescape")
                )
                assert file.is_file()


# What may be replaced -------------------------------------------------------


def test_a_page_is_an_output_as_any_other(tmp_path, say, run):
    path, out = say(tmp_path / "a.wav"), tmp_path / "out"
    first = run("enhance", path, out).path
    assert is_output(first) and find_audio(tmp_path) == [path]
    before = first.read_bytes()
    # the same command replaces it
    assert run("enhance", path, out).path.read_bytes() == before
    # another does not
    other = say(tmp_path / "b.wav")
    told = run("enhance", other, out, status=1)
    assert "index.html is there already" in told and "--overwrite" in told
    assert not (out / "b_enhanced.wav").exists()
    assert "b.wav" in run("enhance", other, out, "--overwrite").text


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_the_user_has_there_stays(tmp_path, say, run, kind):
    path, target = say(tmp_path / "a.wav"), tmp_path / "out/index.html"
    target.parent.mkdir()
    target.write_text("mine") if kind == "file" else target.mkdir()
    told = run("separate", path, tmp_path / "out", status=1)
    assert "index.html" in told
    # told before the work
    assert [p.name for p in target.parent.iterdir()] == ["index.html"]
    if kind == "file":
        assert target.read_text() == "mine"
        run("separate", path, tmp_path / "out", "--overwrite")
        assert target.read_text() != "mine"


def test_a_page_of_failures_only(tmp_path, run):
    path = tmp_path / "in/a.wav"
    path.parent.mkdir()
    path.write_text("a text")
    page = run("enhance", path, tmp_path / "out", status=2)
    assert "a.wav: cannot be decoded" in page.text
    assert sounds_of(page) == [] and "Recordings" not in page.text


def test_json_alone_is_printed_also_with_a_page(tmp_path, say, models, capsys):
    words = ["enhance", str(say(tmp_path / "a.wav")), "--page", "--json", "-"]
    out = ["--out", str(tmp_path / "out"), "--model", str(models / "enhancer")]
    main([*words, *out])
    (row,) = json.loads(capsys.readouterr().out)
    assert Path(row["output"]).name == "a_enhanced.wav"
    assert (tmp_path / "out/index.html").is_file()


def test_a_recording_that_vanishes_meanwhile_is_told(
    tmp_path, say, run, monkeypatch, caplog
):
    for name in "ab":
        say(tmp_path / f"in/{name}.wav")
    add = RecordingsPage.add

    def late(page, name, recording, outputs):
        if name == "a.wav":
            outputs[0].unlink()
        add(page, name, recording, outputs)

    monkeypatch.setattr(RecordingsPage, "add", late)
    with caplog.at_level(logging.WARNING):
        page = run("enhance", tmp_path / "in", tmp_path / "out", status=2)
    assert names_of(page) == ["b.wav"] and "Skipped" in page.text


def test_a_page_of_many_recordings_stays_small(tmp_path, say, run, monkeypatch):
    for name in "abc":
        say(tmp_path / f"in/{name}.wav")
    page = run("enhance", tmp_path / "in", tmp_path / "all")

    def pictures(page):
        return [tag["src"] for name, tag in page.tags if name == "img"]

    whole = pictures(page)
    assert len(whole) == 6 and "no spectrograms" not in page.text
    monkeypatch.setattr(recordings_page, "PICTURES", sum(map(len, whole[:4])))
    page = run("enhance", tmp_path / "in", tmp_path / "out")
    assert pictures(page) == whole[:4]
    assert page.text.count("It has no spectrograms") == 1
    assert page.path.read_text().count("<svg") == 6


def test_outputs_that_hold_nothing_are_left_out(tmp_path, say, run):
    words = "--active-only", "--csv", str(tmp_path / "t.csv")
    page = run("separate", say(tmp_path / "a.wav"), tmp_path / "out", *words)
    written = list((tmp_path / "out").glob("*.wav"))
    assert len(labels_of(page)) == 1 + len(written)


@pytest.mark.slow
def test_a_long_recording_says_how_it_is_drawn(tmp_path, say, run):
    path = say(tmp_path / "a.wav", seconds=160, rate=8000)
    page = run("enhance", path, tmp_path / "out")
    assert "spread evenly" in page.text and "2:40, 8000 Hz" in page.text
