"""The tables of an ablation over users, and their paired tests."""

import json
import re

import pytest
from checkout import ROOT
from ruamel.yaml import YAML

from speechbrain_ext.evaluation.user_ablation import (
    compare,
    markdown,
    tables_and_boxes,
)

RECIPE = ROOT / "recipes/LibriSpeech/personalized_enhancement"
USERS = ("af_heart", "am_michael", "bf_emma", "bm_george")
PLAN = YAML(typ="safe").load((RECIPE / "ablation.yaml").read_text())
LABELS = {
    arm: variant["label"] for arm, variant in PLAN["variants"]["arm"].items()
}


def make_row(arm, improvements, corpus="mini", hidden=64, noisy=False):
    """A row of {(seed, users): {user: improvements}}, and its PESQ."""
    return {
        "factors": {
            "corpus": corpus,
            "hidden": hidden,
            "noisy": noisy,
            "arm": arm,
        },
        "labels": {"arm": LABELS[arm]},
        "values": [
            {"pesq_wb": 1.0 + seed, "each": {"seed": seed, "si_sdri": values}}
            for (seed, _), values in improvements.items()
        ],
    }


def cells_of(table):
    """The cells of a table, by their heads."""
    lines = [line.strip("| ").split(" | ") for line in table.splitlines()]
    return [dict(zip(lines[0], row, strict=True)) for row in lines[2:]]


def three_arms():
    """Three arms for all users and seeds, each better than the one before."""
    rows = [
        make_row(
            "generalist",
            {(1, "all"): {user: [0.0, 2.0] for user in USERS[:3:2]}},
        )
    ]
    shifts = {"uniform": 0.0, "predicted": 1.0, "oracle": 1.5}
    for arm, shift in shifts.items():
        found = {}
        for seed in (1, 2, 3):
            for user in USERS:
                own = 0.1 * len(user) + seed + shift
                own += 0.02 * shift * len(user)
                found[seed, user] = {user: [own, own + 2]}
        rows.append(make_row(arm, found))
    return rows


@pytest.mark.slow
def test_arms_are_compared_user_by_user(tmp_path):
    rows = three_arms()
    table = cells_of(markdown(rows))
    assert [row["arm"] for row in table] == [
        LABELS[arm] for arm in ("generalist", "uniform", "predicted", "oracle")
    ]
    assert [row["seeds"] for row in table] == ["1", "3", "3", "3"]
    improvement, control = "SI-SDRi, mean over users", "against p = 1"
    assert table[1][improvement] == "3.85 ± 1.00 dB"
    assert table[1][control] == "-" and table[2][control] == "+1.17 dB"
    assert [row["PESQ"] for row in table] == ["2.00"] + ["3.00"] * 3
    # of the first seed alone, and of two users: 1 + 0.1 * 7.5
    assert table[1]["against the generalist"] == "+1.75 dB"
    # four users of the same sign: the smallest that Wilcoxon's test can give
    tests = table[2]["p: t, Wilcoxon (users), Wilcoxon (mixtures)"]
    assert tests.split(", ")[1] == "0.125"
    assert tables_and_boxes(tmp_path, rows) == markdown(rows)
    path = tmp_path / "ablation_boxes_mini_gru64.png"
    assert path.stat().st_size > 0


def test_only_the_same_seeds_are_compared():
    # seeds differ by far more than arms do
    one, other = (
        make_row(
            arm,
            {
                (seed, user): {
                    user: [10 * seed + shift * (1 + 0.02 * len(user))] * 2
                }
                for seed in seeds
                for user in USERS
            },
        )
        for arm, seeds, shift in (
            ("mse", (1, 2), 1.0),
            ("uniform", (2, 3), 0.0),
        )
    )
    found = compare(one, other)
    assert round(found["delta"], 3) == 1.17
    assert found["wilcoxon"] == 0.125
    other["values"] = other["values"][4:]
    assert compare(one, other) is None


def test_noisier_users_have_a_control_of_their_own():
    values = {(1, user): {user: [3.0, 4.0]} for user in USERS}
    louder = {(1, user): {user: [1.0, 2.5]} for user in USERS}
    rows = [
        make_row("mse", values),
        make_row("uniform", values),
        make_row("uniform", louder, noisy=True),
        make_row("predicted", louder, noisy=True),
    ]
    table = cells_of(markdown(rows))
    assert table[2]["arm"] == f"{LABELS['uniform']}, noisier users"
    assert [row["against p = 1"] for row in table] == [
        *("+0.00 dB", "-", "-", "+0.00 dB")
    ]


def stored_rows():
    """The rows of the stored runs, in the order of the plan."""
    stored = json.loads((RECIPE / "reference/ablation_runs.json").read_text())
    groups = {}
    for corpus, part in stored.items():
        for name, metrics in part["runs"].items():
            arm, noisy, _ = name.split("/")[1].partition("_noisy")
            hidden = int((re.findall(r"/gru(\d+)", name) or ["64"])[0])
            key = corpus, hidden, bool(noisy), list(LABELS).index(arm)
            groups.setdefault(key, []).append(metrics)
    names = "corpus", "hidden", "noisy", "arm"
    for (*key, place), runs in sorted(groups.items(), key=lambda g: g[0]):
        arm = list(LABELS)[place]
        yield {
            "factors": dict(zip(names, (*key, arm), strict=True)),
            "labels": {"arm": LABELS[arm]},
            "values": runs,
        }


def test_the_stored_table_is_that_of_the_stored_runs():
    table = (RECIPE / "reference/ablation_results.md").read_text()
    assert markdown(list(stored_rows())) == table.strip()
