"""Frames for the contrastive losses."""

import pytest
import torch

from speechbrain_ext.losses import sample_frames


def sample(labels, mask=None, count=1000, most=1000, seed=0):
    if mask is None:
        mask = torch.ones_like(labels, dtype=torch.bool)
    return sample_frames(
        labels=labels,
        mask=mask,
        count=count,
        most_per_cluster=most,
        generator=torch.Generator().manual_seed(seed),
    )


def test_one_frame_of_every_run_and_none_of_the_padding():
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(3, (4, 60), generator=generator)
    lengths = torch.tensor([60, 41, 17, 1])
    mask = torch.arange(60) < lengths[:, None]
    places = sample(labels, mask)
    assert mask.flatten()[places].all()
    found = sorted(places.tolist())
    runs = []
    for row, length in enumerate(lengths.tolist()):
        begin = 0
        for place in range(1, length + 1):
            if place == length or labels[row, place] != labels[row, begin]:
                runs.append(range(60 * row + begin, 60 * row + place))
                begin = place
    assert len(found) == len(runs)
    for place, run in zip(found, runs, strict=True):
        assert place in run


def test_a_cluster_has_a_cap_and_the_batch_too():
    labels = torch.tensor([[0, 1, 0, 2, 0, 1, 0, 3]])
    chosen = labels.flatten()[sample(labels, most=2)].tolist()
    assert sorted(chosen) == [0, 0, 1, 1, 2, 3]
    assert len(sample(labels, most=2, count=3)) == 3


def test_it_follows_from_the_generator_alone():
    labels = torch.arange(300).view(2, 150) // 2
    assert torch.equal(sample(labels, seed=5), sample(labels, seed=5))
    assert not torch.equal(sample(labels, seed=5), sample(labels, seed=6))


def test_nothing_but_padding_gives_nothing():
    labels = torch.zeros(2, 3, dtype=torch.int64)
    assert len(sample(labels, torch.zeros(2, 3, dtype=torch.bool))) == 0


@pytest.mark.parametrize(
    "change, message",
    [
        ({"count": 0}, "count is 0"),
        ({"mask": torch.ones(1, 3, dtype=torch.bool)}, "must both be"),
    ],
)
def test_wrong_arguments(change, message):
    with pytest.raises(ValueError, match=message):
        sample(torch.zeros(1, 2, dtype=torch.int64), **change)
