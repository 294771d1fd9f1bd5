"""What the READMEs show is what the commands beside it printed."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "recipes/WHAMandWHAMR/ring_separation"
ESTIMATION = ROOT / "recipes/REAL-M/sisnr_estimation"
MIXIT = ROOT / "recipes/FUSS/mixit_separation"
PERSONAL = ROOT / "recipes/LibriSpeech/personalized_enhancement"
ROBUST = ROOT / "recipes/LibriSpeech/robust_asr"
READMES = [ROOT / "README.md", RECIPE / "README.md"]


TABLES = sorted(ROOT.glob("recipes/*/*/reference/*.md"))


@pytest.mark.parametrize(
    "path", TABLES, ids=lambda path: f"{path.parts[-3]}-{path.stem}"
)
def test_tables_are_the_stored_ones(path):
    text = (path.parents[1] / "README.md").read_text()
    table = path.read_text().strip()
    assert table.count("\n") >= 3
    assert table in text


def test_every_ablation_has_its_table():
    for recipe in (RECIPE, MIXIT, PERSONAL, ROBUST):
        assert recipe / "reference/ablation_results.md" in TABLES


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.name)
def test_the_headline_figures_are_the_stored_ones(readme):
    text = readme.read_text()
    for name in ("ring_sepformer", "ring_sepformer_scer"):
        stored = json.loads((RECIPE / f"reference/{name}.json").read_text())
        figures = stored["metrics"]
        row = (
            f"| {stored['settings']['scer_weight']:g} "
            f"| {figures['si_sdri']:.2f} dB "
            f"| {figures['residual_noise_db']:.2f} dB "
            f"| {figures['a_own']:.2f} / {figures['a_other']:.2f} |"
        )
        assert row in text, row


def test_the_figures_of_the_estimator_are_the_stored_ones():
    text = (ESTIMATION / "README.md").read_text()
    stored = sorted((ESTIMATION / "reference").glob("sisnr_*.json"))
    assert stored
    for path in stored:
        content = json.loads(path.read_text())
        tests = {}
        for name, value in content["metrics"].items():
            score, _, test = name.partition(", ")
            tests.setdefault(test, {})[score] = value
        assert len(tests) == 4
        for test, figures in tests.items():
            kendall = figures.get("kendall")
            row = (
                f"| {content['settings']['strategy']} "
                f"| {test.replace(', ', ' | ')} "
                f"| {figures['pearson']:.3f} | {figures['spearman']:.3f} "
                f"| {figures['error_within_range']:.2f} dB "
                f"| {figures['bias']:+.2f} dB "
                f"| {'-' if kendall is None else f'{kendall:.2f}'} |"
            )
            assert row in text, row


def test_what_the_estimator_chose_is_the_stored():
    text = (ESTIMATION / "README.md").read_text()

    def read(name):
        return json.loads((ESTIMATION / f"reference/{name}.json").read_text())

    def name_of(row):
        return ", ".join(row["separator"].split("separators/")[-1].split("/"))

    course = read("blind_selection")
    for title, key in (("blind score", "predicted"), ("clean SI-SDRi", "true")):
        cells = " | ".join(f"{value:.1f}" for value in course[key])
        assert f"| {title} (dB) | {cells} |" in text
    corpora = [read(f"word_errors_{name}") for name in ("mini", "librispeech")]
    for rows in zip(*corpora, strict=True):
        cells = [name_of(rows[0])]
        for row in rows:
            score = row["predicted"]
            cells += [
                f"{100 * row['wer']:.1f} %",
                "-" if score is None else f"{score:.1f} dB",
                f"{row['true']:.1f} dB",
            ]
        assert f"| {' | '.join(cells)} |" in text
    best, *others = read("rank_ami")
    assert f"| {best['si_snr']:.2f} dB | - |" in text
    for row in others:
        behind = best["si_snr"] - row["si_snr"]
        error = row["standard_error"]
        assert (
            f"| {row['si_snr']:.2f} dB | {behind:.2f} ± {error:.2f} dB "
            f"| {name_of(row)} |" in text
        )


def test_what_the_outside_recognizer_heard_is_the_stored():
    text = (ROBUST / "README.md").read_text()
    for name in ("outside_recognizer", "outside_recognizer_generalists"):
        stored = json.loads((ROBUST / f"reference/{name}.json").read_text())
        rows = {}
        for row in stored:
            cells = rows.setdefault(row["enhancer"], [row["enhancer"]])
            cells.append(f"{row['wer_bounded']:.1f} %")
        assert len(rows) > 2
        for cells in rows.values():
            assert f"| {' | '.join(cells)} |" in text


@pytest.mark.parametrize(
    "readme",
    [
        *READMES,
        *(p / "README.md" for p in (ESTIMATION, MIXIT, PERSONAL, ROBUST)),
    ],
    ids=lambda path: path.parent.name,
)
def test_links_and_pictures_exist(readme):
    for target in re.findall(r"\]\(([^)#]+)\)", readme.read_text()):
        if "://" not in target:
            assert (readme.parent / target).exists(), target


def test_the_two_commands_open_the_readme():
    text = READMES[0].read_text()
    block = text.split("```")[1].strip().splitlines()
    assert len(block) == 2
    assert block[0].endswith("python train.py hparams/ring_sepformer.yaml")
    assert block[1].endswith("python -m pytest")


@pytest.mark.slow
@pytest.mark.parametrize(
    "readme, examples",
    [(ROOT / "README.md", 2), (ESTIMATION / "README.md", 1)],
    ids=["project", "estimation"],
)
def test_the_examples_in_python_run(readme, examples, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    talk = 0.1 * np.random.default_rng(0).standard_normal(16000)
    soundfile.write("talk.wav", talk, 16000)
    found = re.findall(r"(?s)```python\n(.+?)```", readme.read_text())
    assert len(found) == examples
    for code in found:
        exec(compile(code, readme, "exec"), {})
    if readme.parent == ROOT:
        written = {path.name for path in tmp_path.glob("*/*.wav")}
        sources = {f"talk_source{number}.wav" for number in (1, 2)}
        assert written == {"talk_enhanced.wav"} | sources
