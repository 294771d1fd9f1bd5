import itertools
import math

import pytest
import torch

from speechbrain_ext.losses import si_sdr
from speechbrain_ext.losses.universal_separation import (
    average_scores,
    pair_outputs,
    source_scores,
    universal_figures,
)

TIME = 1024


def waves(number, offset=1):
    """Orthogonal cosines of power 1/2."""
    time = torch.arange(TIME, dtype=torch.float64)
    cycles = torch.arange(offset, offset + number, dtype=torch.float64)
    return torch.cos(2 * torch.pi * cycles[:, None] * (time + 0.5) / TIME)


def measure(estimates, references, mixture=None):
    if mixture is None:
        mixture = references.sum(0)
    (row,) = universal_figures(
        estimates=estimates, references=references, mixture=mixture
    )
    return row


def test_si_snr_of_known_noise_and_its_improvement():
    references, noise = waves(3), waves(3, offset=10)
    levels = torch.tensor([[0.1], [0.01], [1.0]])
    # any gain and polarity
    estimates = torch.tensor([[3.0], [-0.5], [1.0]]) * (
        references + levels * noise
    )
    row = measure(estimates, references)
    assert row["si_snr"] == pytest.approx([20.0, 40.0, 0.0], abs=1e-3)
    before = -10 * math.log10(2)  # of one of three equal sources
    expected = [20.0 - before, 40.0 - before, -before]
    assert row["si_snri"] == pytest.approx(expected, abs=1e-3)
    assert row["assignment"] == [0, 1, 2] and all(row["paired"])


def test_si_snr_is_si_sdr_with_the_mean_left_in():
    torch.manual_seed(0)
    references = torch.randn(3, TIME) + 0.5
    estimates = references + 0.3 * torch.randn(3, TIME)
    row = measure(estimates, references)
    expected = si_sdr(estimate=estimates, target=references, zero_mean=False)
    assert row["si_snr"] == pytest.approx(expected.tolist(), abs=1e-3)


def test_si_snr_ends_at_80_db():
    references = waves(2)
    row = measure(
        torch.stack((references[1], 1e-6 * waves(1, 9)[0])), references
    )
    assert row["si_snr"] == pytest.approx([-80.0, 80.0], abs=1e-6)
    assert row["assignment"] == [1, 0]


@pytest.mark.parametrize("outputs", [3, 4, 6])
def test_the_assignment_is_the_best_of_all(outputs):
    generator = torch.Generator().manual_seed(outputs)
    references = torch.randn(3, 50, generator=generator)
    estimates = torch.randn(outputs, 50, generator=generator)
    row = measure(estimates, references)
    values = si_sdr(
        estimate=estimates[None], target=references[:, None], zero_mean=False
    )
    best = max(
        itertools.permutations(range(outputs), 3),
        key=lambda choice: sum(values[n, c] for n, c in enumerate(choice)),
    )
    assert row["assignment"] == list(best)
    # greedily, the best pairs first, would be another one at times
    assert sum(row["si_snr"]) == pytest.approx(
        sum(float(values[n, c]) for n, c in enumerate(best)), abs=1e-3
    )


def test_references_that_are_silent_do_not_count():
    references = torch.cat((torch.zeros(2, TIME), waves(2)))
    references[0] = 1e-9 * waves(1, 20)  # RMS 0.7e-9, below 1e-8
    row = measure(waves(2).flip(0), references)
    assert row["references"] == 2
    assert row["assignment"] == [1, 0]
    references[0] = 1e-7 * waves(1, 20)
    assert measure(waves(4), references)["references"] == 3


def decibels(*levels):
    return 10 ** (torch.tensor(levels, dtype=torch.float64)[:, None] / 20)


@pytest.mark.parametrize(
    ("levels", "outputs", "separation"),
    [
        # the weakest reference has -10 dB, so the threshold lies at -30 dB
        ((0, -10, -31, -90), 2, "equal"),
        ((0, -10, -29, -31), 3, "over"),
        ((0, -10, 0, 0), 4, "over"),
        ((0, -31, -32, -33), 1, "under"),
        ((-40, -40, -40, -40), 0, "under"),
    ],
)
def test_outputs_count_from_20_db_below_the_weakest(
    levels, outputs, separation
):
    references = decibels(0, -10) * waves(2)
    row = measure(decibels(*levels) * waves(4), references)
    assert (row["outputs"], row["separation"]) == (outputs, separation)
    assert row["paired"] == [level > -30 for level in levels[:2]]


def test_an_output_that_is_loud_but_of_no_source_counts():
    estimates = torch.cat((waves(2), waves(1, offset=30)))
    row = measure(estimates, waves(2))
    assert (row["outputs"], row["separation"]) == (3, "over")
    assert row["assignment"] == [0, 1]


def test_missing_outputs_are_silent_ones():
    row = measure(waves(1), waves(3))
    assert row["separation"] == "under"
    assert row["assignment"][0] == 0 and row["assignment"][1:] == [None, None]
    assert row["paired"] == [True, False, False]
    assert row["si_snr"] == pytest.approx([80.0, -80.0, -80.0])


def test_a_clip_without_a_source_is_told_apart():
    row = measure(waves(2), torch.zeros(2, TIME))
    assert row["references"] == 0
    assert row["outputs"] is row["separation"] is None
    assert row["si_snr"] == row["assignment"] == []


def test_a_batch_equals_its_clips():
    torch.manual_seed(1)
    references = torch.randn(3, 4, 200)
    references[1, 2:] = 0
    references[2] = 0
    estimates = torch.randn(3, 5, 200)
    mixtures = references.sum(1)
    rows = universal_figures(
        estimates=estimates, references=references, mixture=mixtures
    )
    alone = [measure(e, r) for e, r in zip(estimates, references, strict=True)]
    assert rows == alone
    assert [row["references"] for row in rows] == [4, 2, 0]


def test_half_precision_and_gradients_are_taken():
    estimates = waves(2).bfloat16().requires_grad_()
    row = measure(estimates, waves(2).bfloat16())
    assert row["si_snr"] == pytest.approx([80, 80])


def test_what_does_not_belong_together_is_refused():
    good = {
        "estimates": torch.zeros(2, 3, 9),
        "references": torch.ones(2, 4, 9),
        "mixture": torch.zeros(2, 9),
    }
    for name, wrong in (
        ("estimates", torch.zeros(2, 3, 8)),
        ("estimates", torch.zeros(2, 0, 9)),
        ("references", torch.zeros(1, 4, 9)),
        ("mixture", torch.zeros(2, 3, 9)),
        ("references", torch.zeros(2, 9)),
    ):
        with pytest.raises(ValueError, match=r"got \{'estimates': \("):
            universal_figures(**good | {name: wrong})
    broken = torch.zeros(2, 3, 9)
    broken[1, 2, 3] = math.nan
    with pytest.raises(ValueError, match="estimates: clip 1 has samples not"):
        universal_figures(**good | {"estimates": broken})


def row(si_snr, si_snri, paired, outputs, separation):
    return {
        "references": len(si_snr),
        "outputs": outputs,
        "separation": separation,
        "paired": paired,
        "si_snr": si_snr,
        "si_snri": si_snri,
    }


ROWS = [
    row([30.0], [0.0], [True], 1, "equal"),
    row([20.0], [0.0], [True], 3, "over"),
    row([5.0], [0.0], [False], 0, "under"),
    row([9.0, 8.0], [12.0, 6.0], [True, True], 2, "equal"),
    row([7.0, -80.0], [9.0, -80.0], [True, False], 1, "under"),
    row([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0], [True] * 4, 6, "over"),
    row([1.0] * 5, [50.0] * 5, [True] * 5, 5, "equal"),
    row([], [], [], None, None),
]


def summed_up(rows):
    return [score for row in rows for score in source_scores(row)]


def test_scores_of_rows_made_by_hand():
    scores = summed_up(ROWS)
    means = average_scores(scores)
    # sources of 2 to 4: neither the clip of five nor the inactive pair
    assert means["msi"] == pytest.approx((12 + 6 + 9 + 1 + 2 + 3 + 4) / 7)
    assert means["msi_all"] == pytest.approx((37 - 80) / 8)
    assert means["one_source"] == pytest.approx(25.0)
    assert means["one_source_all"] == pytest.approx(55 / 3)
    totals = {
        name: sum(score.get(name, 0) for score in scores)
        for name in ("under", "equal", "over", "outputs", "si_snri_2")
    }
    assert totals == {
        "under": 2, "equal": 3, "over": 2, "outputs": 18, "si_snri_2": 27.0
    }  # fmt: skip
    # a clip without sources keeps its place, without scores
    assert len(scores) == 17 and scores[-1] == {}


def test_figures_without_clips_are_nan():
    means = average_scores(summed_up(ROWS[:1]))
    assert math.isnan(means["msi"]) and means["one_source"] == 30.0
    assert math.isnan(average_scores(summed_up(ROWS[3:5]))["one_source"])
    assert all(math.isnan(v) for v in average_scores([]).values())


def test_a_perfect_separator_and_one_that_does_nothing():
    references = torch.zeros(2, 4, TIME, dtype=torch.float64)
    references[0, :1] = waves(1)
    references[1, :3] = waves(3)
    mixtures = references.sum(1)
    rows = universal_figures(
        estimates=references.flip(1), references=references, mixture=mixtures
    )
    perfect = average_scores(summed_up(rows))
    assert perfect["one_source"] == pytest.approx(80.0)
    assert perfect["msi"] == pytest.approx(80 + 10 * math.log10(2), abs=1e-3)
    assert [row["separation"] for row in rows] == ["equal", "equal"]
    # the mixture in every output: no improvement, too many outputs for one
    rows = universal_figures(
        estimates=mixtures[:, None].expand(-1, 4, -1) / 4,
        references=references,
        mixture=mixtures,
    )
    idle = average_scores(summed_up(rows))
    assert idle["one_source"] == pytest.approx(80.0)
    assert idle["msi"] == pytest.approx(0.0, abs=1e-9)
    assert [row["separation"] for row in rows] == ["over", "over"]


def test_outputs_stand_beside_their_references_the_others_after_them():
    references = torch.zeros(4, TIME)
    references[:2] = waves(2).float()
    # swapped, one that is silent, and one that stands for no source
    estimates = torch.stack(
        (references[1], 0 * references[0], references[0], references.sum(0))
    )
    (row,) = universal_figures(
        estimates=estimates, references=references, mixture=references.sum(0)
    )
    outputs, targets = pair_outputs(row, estimates, references)
    assert torch.equal(outputs, estimates[[2, 0, 3]])
    assert torch.equal(targets[:2], references[:2])
    assert not targets[2].any()


def test_silence_is_paired_with_silence():
    silence = torch.zeros(2, TIME)
    (row,) = universal_figures(
        estimates=silence, references=silence, mixture=silence[0]
    )
    outputs, targets = pair_outputs(row, silence, silence)
    assert outputs.shape == targets.shape == (1, TIME)
