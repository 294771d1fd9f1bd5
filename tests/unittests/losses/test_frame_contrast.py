"""Enhanced frames compared with clean ones."""

import copy

import pytest
import torch

from speechbrain_ext.losses.frame_contrast import FrameContrast
from speechbrain_ext.models import (
    AcousticTokenizer,
    ConformerCTC,
    JointRecognizer,
    SpectralTDCN,
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
        SpectralTDCN(num_sources=1, channels=8, hidden=8, blocks=1),
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
