import pytest
import soundfile
import torch

from speechbrain_ext.evaluation.sounds import named_signals, write_sounds


def test_signals_are_named_by_kind_and_number():
    signals = named_signals(
        "item 'a'",
        mixture=torch.zeros(4, dtype=torch.float64),
        source=torch.ones(3, 4, requires_grad=True),
        reference=(),
    )
    assert list(signals) == ["mixture", "source_1", "source_2", "source_3"]
    for signal in signals.values():
        assert signal.dtype == torch.float32 and not signal.requires_grad


def test_the_owner_of_a_wrong_signal_is_named():
    with pytest.raises(ValueError, match=r"item 'a': source_2 \(3,\).*\(4,\)"):
        named_signals(
            "item 'a'",
            mixture=torch.zeros(4),
            source=[torch.zeros(4), torch.zeros(3)],
        )
    with pytest.raises(ValueError, match=r"item 'a': mixture \(1, 4\)"):
        named_signals("item 'a'", mixture=torch.zeros(1, 4))
    with pytest.raises(ValueError, match="source_1 holds non-finite samples"):
        named_signals(
            "item 'a'",
            mixture=torch.zeros(2),
            source=torch.tensor([[0.0, torch.inf]]),
        )


@pytest.mark.parametrize(
    "peak, lowered_db, written", [(0.99, 0.0, 0.5), (1.98, 6.0206, 0.25)]
)
def test_all_are_lowered_where_one_would_clip(
    tmp_path, peak, lowered_db, written
):
    signals = {"a": torch.tensor([0.0, -peak]), "b": torch.full((2,), 0.5)}
    paths, by = write_sounds(
        tmp_path / "new", signals=signals, sample_rate=8000
    )
    assert by == pytest.approx(lowered_db, abs=1e-4)
    a, rate = soundfile.read(paths["a"])
    assert rate == 8000 and a.tolist() == pytest.approx([0, -0.99], abs=1e-4)
    assert soundfile.info(paths["a"]).subtype == "PCM_16"
    b, _ = soundfile.read(paths["b"])
    assert b.tolist() == pytest.approx([written] * 2, abs=1e-4)
