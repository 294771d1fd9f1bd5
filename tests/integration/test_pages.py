"""Every kind of page in a real browser: clicked, played, looked at."""

import time

import pytest
import soundfile
import torch
from browser import Browser
from hub_folders import write_folder
from matplotlib.image import imread

from speechbrain_ext.commands.program import main
from speechbrain_ext.evaluation import (
    Example,
    ListeningItem,
    Result,
    bars,
    write_listening_page,
    write_report,
)
from speechbrain_ext.services import recordings_page

pytestmark = pytest.mark.slow
RATE, SECONDS = 8000, 40
NASTY = "<img src=x onerror=alert(1)> & \"y\" 'z'"
# every element that takes the focus or is told has a name
NAMED = {"button", "slider", "radio", "link", "textbox", "image", "radiogroup"}
NAMED |= {"navigation", "region", "article"}


def signals(sources):
    generator = torch.Generator().manual_seed(0)
    envelope = torch.linspace(0, 6.28 * SECONDS, RATE * SECONDS).sin().abs()
    noise = torch.randn(sources, RATE * SECONDS, generator=generator)
    return 0.1 * envelope * noise


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A page of each kind."""
    root = tmp_path_factory.mktemp("pages")
    write_folder(root / "model")
    for name in ("first", "second", NASTY.replace("/", "")):
        path = root / f"in/{name}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, signals(2).sum(0).numpy(), RATE)
    (root / "in/bad.wav").write_text("no audio")
    words = ["separate", str(root / "in"), "--out", str(root / "out")]
    words += ["--model", str(root / "model"), "--page", "--quiet"]
    with pytest.MonkeyPatch.context() as patch:
        # it takes seconds for each sound
        patch.setattr(recordings_page, "available", lambda: {"dnsmos": False})
        with pytest.raises(SystemExit, match="2"):
            main(words)
        patch.setattr(recordings_page, "INSIDE", 0)
        words[3] = str(root / "beside")
        with pytest.raises(SystemExit, match="2"):
            main(words)
    sources = signals(2)
    example = Example(
        NASTY,
        sources.sum(0),
        0.5 * sources,
        RATE,
        references=sources,
        scores=[{"si_sdr": 7.0}, {"si_sdr": 3.0}],
    )
    arms = [{"name": NASTY, "values": [1.0]}]
    plot = bars(root / "plot.png", arms=arms, label="dB")
    report = write_report(
        root / "run",
        title=NASTY,
        figures=[Result("SI-SDRi", 9.0, "dB", reference=7.5, better="higher")],
        plots=[(plot, NASTY)],
        examples=[example],
    )
    items = [
        ListeningItem(f"{n}", sources.sum(0), sources, RATE, predicted=n)
        for n in range(2)
    ]
    return {
        "recordings": root / "out/index.html",
        "beside": root / "beside/index.html",
        "run": report,
        "listening": write_listening_page(
            root / "test", title=NASTY, items=items
        ),
    }


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


AUDIOS = (
    "[...document.querySelectorAll('.item')]"
    ".map(item => [...item.querySelectorAll('audio')])"
)


def playing(tab):
    """Item and number of each sound that plays."""
    return tab(
        f"{AUDIOS}.flatMap((all, item) => all.flatMap("
        "(sound, n) => sound.paused ? [] : [[item, n + 1]]))"
    )


def at(tab, number, item=0):
    return tab(f"{AUDIOS}[{item}][{number - 1}].currentTime")


@pytest.mark.parametrize("kind", ["recordings", "run", "listening"])
def test_a_page_is_whole_at_every_width(browser, pages, tmp_path, kind):
    grounds = set()
    for width in (390, 1280):
        for dark in (False, True):
            tab = browser.open(pages[kind], width=width, dark=dark)
            tab.wait("[...document.images].every(image => image.complete)")
            assert tab("[...document.images].every(i => i.naturalWidth > 0)")
            # nothing lies beside the window
            assert tab("document.documentElement.scrollWidth") <= width
            picture = imread(tab.screenshot(tmp_path / "page.png"))
            assert picture.shape[1] == width
            assert picture[..., :3].std() > 0.02
            grounds.add((dark, picture[2, 2, :3].mean() < 0.5))
            assert tab.problems == []
    assert grounds == {(False, False), (True, True)}


@pytest.mark.parametrize("kind", ["recordings", "run", "listening"])
def test_a_screen_reader_is_told_names_and_landmarks(browser, pages, kind):
    tab = browser.open(pages[kind])
    told = tab.accessible()
    roles = [role for role, _ in told]
    assert roles.count("main") == 1 and "heading" in roles
    assert [node for node in told if node[0] in NAMED and not node[1]] == []
    if kind != "listening":
        assert {"radiogroup", "radio", "slider", "button"} <= set(roles)
    if kind == "recordings":
        assert ("navigation", "Contents") in told
        assert ("region", "Skipped") in told
    # the keyboard reaches all of them, in their order
    wanted = tab("[...document.querySelectorAll("
        "'a, button:enabled, input[type=range], input[type=text]')]"
        ".filter(e => e.offsetParent).length")  # fmt: skip
    reached = []
    focus = "document.activeElement"
    for _ in range(8 * wanted):
        tab.press("Tab")
        if tab(f"{focus} === document.body"):
            break
        reached.append(tab(f"{focus}.tagName"))
        # a browser's own player, and the label beside a button, show it
        if reached[-1] != "AUDIO" and tab(f"{focus}.type") != "radio":
            assert tab(f"getComputedStyle({focus}).outlineStyle") != "none"
    assert len(reached) >= wanted
    assert tab.problems == []


@pytest.mark.parametrize(
    "kind, count", [("recordings", 3), ("beside", 3), ("run", 5)]
)
def test_sounds_are_played_in_sync(browser, pages, kind, count):
    tab = browser.open(pages[kind])
    assert tab(f"{AUDIOS}[0].length") == count
    assert playing(tab) == []
    assert tab("document.querySelectorAll('audio[controls]').length") == 0
    tab.click(".play")
    tab.wait(f"{AUDIOS}[0][0].currentTime > 0.2")
    assert playing(tab) == [[0, 1]]
    assert tab("document.querySelector('.play').textContent") == "Pause"
    # at the same instant, by key and by click
    for number, switch in (
        (2, lambda: tab.press("2")),
        (3, lambda: tab.press("3")),
        (1, lambda: tab.click(".track input")),
    ):
        before = playing(tab)[0][1]
        tab.wait(f"{AUDIOS}[0][{number - 1}].readyState === 4")
        start = time.monotonic()
        switch()
        tab.wait(f"!{AUDIOS}[0][{number - 1}].paused")
        assert playing(tab) == [[0, number]]
        apart = abs(at(tab, number) - at(tab, before))
        assert apart <= time.monotonic() - start + 0.01
        tab.wait(f"!{AUDIOS}[0][{number - 1}].seeking")
        assert tab("document.querySelector('.heard .about').innerText").split()[
            0
        ] == str(number)
        assert tab("document.querySelector('.item :checked').closest('.track')"
            ".className") == "track heard"  # fmt: skip
    # a key that no sound belongs to changes nothing
    tab.press("9")
    assert playing(tab) == [[0, 1]]
    # space pauses, also with the focus on what was clicked last
    tab.press(" ")
    tab.wait(f"{AUDIOS}[0][0].paused")
    stopped = at(tab, 1)
    # what is paused is switched, too
    tab.press("2")
    tab.wait(f"Math.abs({AUDIOS}[0][1].currentTime - {stopped}) < 0.01")
    assert playing(tab) == []
    # a click into a picture goes there
    tab.click(".track:nth-child(3) .view", across=0.75)
    wanted = 0.75 * SECONDS
    tab.wait(f"Math.abs({AUDIOS}[0][2].currentTime - {wanted}) < 0.1")
    assert abs(
        tab("Number(document.querySelector('.seek').value)") - wanted
    ) < (0.1)
    assert tab.problems == []


def test_a_sound_begins_where_it_was_clicked(browser, pages):
    """Before anything of it is loaded."""
    tab = browser.open(pages["run"])
    tab.click(".track:nth-child(2) .view", across=0.5)
    assert tab(f"{AUDIOS}[0][1].readyState") == 0
    tab.press(" ")
    tab.wait(f"!{AUDIOS}[0][1].paused && {AUDIOS}[0][1].currentTime > 0")
    assert playing(tab) == [[0, 2]] and at(tab, 2) >= SECONDS / 2 - 0.1
    # and stays there, if it is paused on its way to another place
    for key in (" ", "1", " "):
        tab.click(".track:nth-child(2) .view", across=0.25)
        tab.press(key)
        tab.press(key)
        time.sleep(0.2)
        slider = tab("Number(document.querySelector('.seek').value)")
        assert SECONDS / 4 - 0.1 <= slider < SECONDS / 2
        if not playing(tab):
            tab.press(" ")
        (((_, number),)) = playing(tab)
        tab.wait(f"!{AUDIOS}[0][{number - 1}].seeking")
        assert SECONDS / 4 - 0.1 <= at(tab, number) < SECONDS / 2


def test_one_recording_is_heard_at_a_time(browser, pages):
    tab = browser.open(pages["recordings"])
    tab.click("#item-1 .play")
    tab.wait(f"{AUDIOS}[0][0].currentTime > 0")
    tab.click("#item-2 .play")
    tab.wait(f"{AUDIOS}[1][0].currentTime > 0")
    assert playing(tab) == [[1, 1]]
    # keys mean the recording that was touched last
    tab.press("3")
    tab.wait(f"!{AUDIOS}[1][2].paused")
    assert playing(tab) == [[1, 3]]
    # at its end it begins anew
    tab(f"{AUDIOS}[1][2].currentTime = {SECONDS - 0.2}")
    tab.wait(f"{AUDIOS}[1][2].paused && {AUDIOS}[1][2].currentTime === 0")
    assert playing(tab) == [] and tab.problems == []


def test_a_sound_that_cannot_be_played_is_told(browser, pages, tmp_path):
    path = tmp_path / "index.html"
    # the sounds of a run lie beside its page
    path.write_text(pages["run"].read_text())
    tab = browser.open(path)
    tab.press(" ")
    tab.wait("document.querySelector('.track input').disabled")
    assert "cannot play" in tab(
        "document.querySelector('.problem').textContent"
    )
    assert playing(tab) == []


def test_without_scripts_each_sound_has_a_player(browser, pages):
    tab = browser.open(pages["recordings"])
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    tab.call("Page.reload")
    tab.wait("document.querySelectorAll('audio[controls]').length === 9")
    assert tab("document.querySelector('.transport').hidden")


def test_a_listener_rates_by_click_and_key(browser, pages):
    tab = browser.open(pages["listening"])
    shown = "document.querySelector('article:not([hidden])')"
    first = tab(f"{shown}.dataset.item")
    tab.click("article:not([hidden]) .scale label:nth-child(4)")
    tab.wait(f"{shown}.querySelector(':checked').value === '4'")
    tab.press("n")
    tab.wait(f"{shown}.dataset.item !== '{first}'")
    assert tab(f"{shown}.querySelector(':checked')") is None
    tab.press("2")
    tab.wait("document.querySelector('#count').innerText === '2 of 2 rated'")
    assert tab("document.querySelector('#status').textContent").startswith(
        "All"
    )
    # one sound at a time
    players = f"[...{shown}.querySelectorAll('audio')]"
    for number in (0, 1):
        tab(f"{players}[{number}].play()")
    tab.wait(f"{players}[0].paused && {players}[1].currentTime > 0")
    # a name is asked for, and no key rates while it is typed
    tab.click("#save")
    tab.wait("document.activeElement.id === 'listener'")
    tab.press("5")
    assert tab("document.querySelector('#listener').value") == "5"
    assert tab(f"{shown}.querySelector(':checked').value") == "2"
    assert tab("document.querySelector('#progress').value") == 2
    assert tab.problems == []
