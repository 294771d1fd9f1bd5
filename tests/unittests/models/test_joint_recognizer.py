"""Recognizer, and enhancement in front of it."""

import pytest
import torch

from speechbrain_ext.models import (
    CharacterTable,
    ConformerCTC,
    JointRecognizer,
    SpectralTDCN,
    frame_mask,
)

SIZES = {"mels": 20, "channels": 4, "size": 16, "heads": 2, "feedforward": 16}


@pytest.fixture
def joint():
    torch.manual_seed(0)
    return JointRecognizer(
        SpectralTDCN(num_sources=1, n_fft=64, hop=32, channels=8, hidden=8),
        ConformerCTC(5, layers=1, **SIZES),
    )


def test_padding_changes_next_to_nothing(joint):
    """SpeechBrain's convolutions mirror what lies at the very end."""
    recognizer = joint.recognizer.eval()
    waveforms = torch.randn(2, 16000)
    waveforms[1, 8000:] = 0
    both = recognizer(waveforms, torch.tensor([1.0, 0.5]))
    alone = recognizer(waveforms[1:, :8000], torch.ones(1))
    difference = (both.frames[1, :26] - alone.frames[0]).abs()
    assert difference[:20].max() < 0.2
    other = recognizer(waveforms.flip(1), torch.ones(2)).frames[1, :26]
    assert (other - alone.frames[0]).abs().mean() > 5 * difference.mean()


def test_the_level_does_not_matter(joint):
    recognizer = joint.recognizer.eval()
    waveforms, lengths = torch.randn(1, 8000), torch.ones(1)
    torch.testing.assert_close(
        recognizer(0.01 * waveforms, lengths).log_probabilities,
        recognizer(waveforms, lengths).log_probabilities,
        atol=1e-3,
        rtol=1e-3,
    )


@pytest.mark.slow
def test_it_learns_an_utterance(joint):
    table = CharacterTable("abc ")
    recognizer = joint.recognizer.eval()  # without dropout
    text, lengths = torch.tensor([table.encode("a cab")]), torch.ones(1)
    tones = torch.sin(torch.arange(1600) * text.T * 0.3).flatten()[None]
    optimizer = torch.optim.Adam(recognizer.parameters(), lr=0.01)
    for _ in range(80):
        found = recognizer(tones, lengths).log_probabilities
        loss = torch.nn.functional.ctc_loss(
            found.transpose(0, 1), text, (found.shape[1],), (5,)
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    path = recognizer(tones, lengths).log_probabilities[0].argmax(-1)
    assert table.decode(path.tolist()) == "a cab"


def test_frozen_parts_get_no_gradient_but_let_it_through(joint):
    joint.train_only(["enhancer"])
    joint.train()
    assert joint.enhancer.training and not joint.recognizer.training
    output = joint(torch.randn(2, 4000), torch.ones(2))
    output.recognition.frames.square().sum().backward()
    assert all(p.grad is None for p in joint.recognizer.parameters())
    assert any(p.grad.abs().sum() > 0 for p in joint.enhancer.parameters())
    joint.train_only(["enhancer", "recognizer"])
    assert joint.recognizer.training


def test_what_is_done_is_chosen(joint):
    waveforms, lengths = torch.randn(2, 4000), torch.tensor([1.0, 0.5])
    output = joint(waveforms, lengths, enhance=False)
    assert output.waveforms is waveforms
    output = joint(waveforms, lengths, recognize=False)
    assert output.recognition is None
    assert not output.waveforms[1, 2000:].any()
    assert output.waveforms[1, :2000].any()


def test_an_enhancer_has_one_output(joint):
    joint.enhancer = SpectralTDCN(num_sources=2, channels=8, hidden=8)
    with pytest.raises(ValueError, match="2 sources; it must give one"):
        joint(torch.randn(1, 4000), torch.ones(1))


def test_frames_are_counted_as_ctc_loss_counts_them():
    lengths = torch.tensor([1.0, 0.49, 0.51])
    expected = (lengths * 26).round()
    assert torch.equal(frame_mask(lengths, 26).sum(1), expected.long())


def test_tables_refuse_what_they_do_not_know():
    table = CharacterTable()
    assert table.decode(table.encode("it's a test")) == "it's a test"
    with pytest.raises(ValueError, match="characters .'1', '\u00e9'.,"):
        table.encode("caf\u00e9 1")
    with pytest.raises(ValueError, match="twice: .'a'"):
        CharacterTable("aba")
