"""Enhanced frames compared with clean ones."""

import copy

import pytest
import torch

from speechbrain_ext.losses.frame_contrast import FrameContrast, sample_frames
from speechbrain_ext.models import (
    AcousticTokenizer,
    ConformerCTC,
    JointRecognizer,
    SpectralConvTasNet,
    frame_mask,
)

LENGTHS = torch.tensor([1.0, 0.6])


def batch(frames=40, size=6):
    """Frames, their clean twins, labels in runs of three, and the mask."""
    generator = torch.Generator().manual_seed(0)
    shape = (2, frames, size)
    return {
        "frames": torch.randn(shape, generator=generator),
        "clean_frames": torch.randn(shape, generator=generator),
        "labels": torch.arange(2 * frames).view(2, frames) // 3 % 7,
        "mask": frame_mask(LENGTHS, frames),
    }


def test_terms_are_those_that_are_asked_for():
    contrast = FrameContrast()
    maps = {
        "project": torch.nn.Linear(6, 4),
        "classify": torch.nn.Linear(6, 7),
    }
    for names in (["cbpc"], ["info_nce"], ["token"], ["token", "cbpc"]):
        terms = contrast(names, **batch(), **maps)
        assert set(terms) == set(names)
    assert contrast([], **batch()) == {}


@pytest.mark.parametrize("name", ["cbpc", "info_nce", "token"])
def test_padding_changes_nothing(name):
    maps = {
        "project": torch.nn.Linear(6, 4),
        "classify": torch.nn.Linear(6, 7),
    }
    plain = batch()
    padded = copy.deepcopy(plain)
    for key in ("frames", "clean_frames"):
        padded[key][~plain["mask"]] = 100.0
    found = [
        FrameContrast()([name], **part, **maps, seed=3)[name]
        for part in (plain, padded)
    ]
    assert torch.equal(*found)


def test_gradients_reach_the_enhancer_and_never_the_teacher():
    """Nor the tokens' centroids, nor a recognizer that is frozen."""
    torch.manual_seed(0)
    joint = JointRecognizer(
        SpectralConvTasNet(num_sources=1, channels=8, hidden=8, blocks=1),
        ConformerCTC(
            29, mels=20, channels=4, size=8, layers=1, heads=2, feedforward=8
        ),
    )
    teacher = copy.deepcopy(joint.recognizer).requires_grad_(False).eval()
    tokenizer = AcousticTokenizer(4, 8)
    tokenizer.centroids.normal_()
    before = tokenizer.centroids.clone()
    joint.train_only(["enhancer"])
    joint.train()
    clean = torch.randn(2, 9000)
    output = joint(clean + torch.randn_like(clean), LENGTHS)
    frames = teacher(clean, LENGTHS).frames
    labels = tokenizer(frames)
    terms = FrameContrast()(
        ["cbpc", "info_nce"],
        frames=output.recognition.frames,
        clean_frames=frames,
        labels=labels,
        mask=frame_mask(LENGTHS, labels.shape[1]),
        project=torch.nn.Linear(8, 4),
    )
    sum(terms.values()).backward()
    assert any(p.grad.abs().sum() > 0 for p in joint.enhancer.parameters())
    for module in (joint.recognizer, teacher):
        assert all(p.grad is None for p in module.parameters())
    assert torch.equal(tokenizer.centroids, before)


def test_shuffled_labels_are_the_same_labels_elsewhere():
    labels = torch.arange(400).view(2, 200) // 3 % 7
    mask = torch.ones_like(labels, dtype=torch.bool)
    places, plain = FrameContrast().choose(labels, mask, 5)
    same, shuffled = FrameContrast(shuffle_labels=True).choose(labels, mask, 5)
    assert torch.equal(places, same)
    assert torch.equal(labels.flatten()[places], plain)
    assert not torch.equal(plain, shuffled)
    assert torch.equal(plain.sort().values, shuffled.sort().values)


def test_anchors_follow_from_the_seed():
    labels, mask = batch()["labels"], batch()["mask"]
    contrast = FrameContrast(sampled_frames=5)
    first, again, other = (
        contrast.choose(labels, mask, seed)[0] for seed in (1, 1, 2)
    )
    assert len(first) == 5 and torch.equal(first, again)
    assert not torch.equal(first, other)


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
