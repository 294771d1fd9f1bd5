import pytest
import torch
from speechbrain.inference.separation import SepformerSeparation
from speechbrain.lobes.models.conv_tasnet import MaskNet

from speechbrain_ext.models import ConvTasNet, MaskingSeparator, SepFormer
from speechbrain_ext.models.separator import filterbank

PIECES = ("encoder", "masknet", "decoder")


def small_sepformer(num_sources=2):
    return SepFormer(
        num_sources=num_sources,
        channels=16,
        blocks=2,
        intra_layers=1,
        inter_layers=1,
        heads=4,
        feedforward=32,
        chunk=20,
    )


def speechbrain_interface(separator):
    """Call the very same pieces through SpeechBrain's own interface."""
    pieces = {name: getattr(separator, name) for name in PIECES}
    return SepformerSeparation(
        modules=pieces, hparams={"num_spks": separator.num_sources}
    )


def speechbrain_masknet(num_sources):
    masknet = MaskNet(N=16, B=8, H=16, P=3, X=2, R=2, C=num_sources)
    return MaskingSeparator(*filterbank(16, 16, masknet), num_sources)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("num_sources", [2, 3])
@pytest.mark.parametrize("build", [small_sepformer, speechbrain_masknet])
def test_equals_speechbrain_where_no_sample_is_left_over(
    build, num_sources, batch
):
    separator = build(num_sources).eval()
    mixture = torch.randn(batch, 16 + 8 * 60)
    expected = speechbrain_interface(separator).separate_batch(mixture)
    with torch.no_grad():
        estimates = separator(mixture)
    assert estimates.shape == (batch, num_sources, mixture.shape[1])
    # rounding of order 1e-7: sources are decoded together, not one by one
    torch.testing.assert_close(
        estimates, expected.transpose(1, 2), atol=1e-6, rtol=1e-5
    )


def test_last_samples_are_separated_too():
    # SpeechBrain's interface answers the last 3 samples with zeros
    separator = small_sepformer().eval()
    mixture = torch.randn(1, 16 + 8 * 60 + 3)
    padded = torch.nn.functional.pad(mixture, (0, 5))
    expected = speechbrain_interface(separator).separate_batch(padded)
    with torch.no_grad():
        estimates = separator(mixture)
    assert estimates[..., -3:].abs().min() > 0
    torch.testing.assert_close(
        estimates,
        expected.transpose(1, 2)[..., : mixture.shape[1]],
        atol=1e-6,
        rtol=1e-5,
    )


def test_encoder_and_decoder_stay_in_float32_under_autocast():
    separator = small_sepformer()
    dtypes = {}
    for name in PIECES:
        getattr(separator, name).register_forward_hook(
            lambda *call, name=name: dtypes.update({name: call[-1].dtype})
        )
    with torch.autocast("cpu", torch.bfloat16):
        estimates = separator(torch.randn(2, 800))
    assert dtypes["encoder"] == dtypes["decoder"] == torch.float32
    assert dtypes["masknet"] == torch.bfloat16
    assert estimates.dtype == torch.float32


def save_pieces(separator, folder):
    for name in PIECES:
        weights = getattr(separator, name).state_dict()
        torch.save(weights, folder / f"{name}.ckpt")


def test_load_speechbrain_brings_every_weight(tmp_path):
    published, loaded = small_sepformer(), small_sepformer()
    mixture = torch.randn(2, 500)
    assert not torch.equal(published(mixture), loaded(mixture))
    save_pieces(published, tmp_path)
    loaded.load_speechbrain(tmp_path)
    assert torch.equal(published(mixture), loaded(mixture))


def test_load_speechbrain_names_a_missing_file(tmp_path):
    save_pieces(small_sepformer(), tmp_path)
    (tmp_path / "masknet.ckpt").unlink()
    with pytest.raises(FileNotFoundError, match=r"masknet\.ckpt is missing"):
        small_sepformer().load_speechbrain(tmp_path)


def test_load_speechbrain_names_wrong_keys_and_changes_nothing(tmp_path):
    save_pieces(small_sepformer(), tmp_path)
    torch.save({"conv1d.weights": torch.zeros(1)}, tmp_path / "decoder.ckpt")
    separator = small_sepformer()
    before = separator.encoder.conv1d.weight.clone()
    message = (
        r"decoder\.ckpt does not fit .*1 missing \(weight\.\.\.\); "
        r"1 unexpected \(conv1d\.weights"
    )
    with pytest.raises(ValueError, match=message):
        separator.load_speechbrain(tmp_path)
    assert torch.equal(before, separator.encoder.conv1d.weight)


def test_load_speechbrain_names_other_shapes(tmp_path):
    save_pieces(small_sepformer(), tmp_path)
    message = r"encoder\.ckpt.*shape \(conv1d.weight \(16, 1, 16\) instead"
    with pytest.raises(ValueError, match=message):
        SepFormer(channels=8, blocks=1, heads=2).load_speechbrain(tmp_path)


class Payload:
    ran = False

    def __reduce__(self):
        return (setattr, (Payload, "ran", True))


def test_load_speechbrain_runs_nothing(tmp_path):
    save_pieces(small_sepformer(), tmp_path)
    torch.save({"weight": Payload()}, tmp_path / "encoder.ckpt")
    with pytest.raises(ValueError, match=r"encoder\.ckpt is damaged or holds"):
        small_sepformer().load_speechbrain(tmp_path)
    assert not Payload.ran


@pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x03\x04cut"])
def test_load_speechbrain_names_a_damaged_file(tmp_path, content):
    save_pieces(small_sepformer(), tmp_path)
    (tmp_path / "encoder.ckpt").write_bytes(content)
    with pytest.raises(ValueError, match=r"encoder\.ckpt is damaged"):
        small_sepformer().load_speechbrain(tmp_path)


def test_load_speechbrain_refuses_what_is_no_state_dict(tmp_path):
    save_pieces(small_sepformer(), tmp_path)
    torch.save([torch.zeros(1)], tmp_path / "encoder.ckpt")
    with pytest.raises(ValueError, match="more than finite tensors"):
        small_sepformer().load_speechbrain(tmp_path)


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.slow
def test_full_sepformer_has_the_published_size_and_names():
    separator = SepFormer().eval()
    assert count(separator) == 25_679_361
    weights = separator.state_dict()
    # shapes of the published speechbrain/sepformer-wsj02mix
    last = "masknet.dual_mdl.1.inter_mdl.mdl.layers.7."
    for key, shape in {
        "encoder.conv1d.weight": (256, 1, 16),
        "decoder.weight": (256, 1, 16),
        "masknet.conv2d.weight": (512, 256, 1, 1),
        last + "self_att.att.in_proj_weight": (768, 256),
        last + "pos_ffn.ffn.0.weight": (1024, 256),
    }.items():
        assert weights[key].shape == shape
    with torch.no_grad():
        assert separator(torch.randn(1, 333)).shape == (1, 2, 333)


def test_full_conv_tasnet_has_about_the_published_size():
    separator = ConvTasNet().eval()
    assert 4.9e6 < count(separator) < 5.1e6
    with torch.no_grad():
        assert separator(torch.randn(1, 333)).shape == (1, 2, 333)


def test_sepformer_blocks_start_from_different_weights():
    first, second = small_sepformer().masknet.dual_mdl
    pairs = list(zip(first.parameters(), second.parameters(), strict=True))
    drawn = [
        torch.equal(a, b) for a, b in pairs if a.dim() > 1 and a.shape[-1] > 1
    ]
    assert drawn and not any(drawn)


def test_odd_sizes_are_errors():
    with pytest.raises(ValueError, match="chunk=25 must be even"):
        SepFormer(chunk=25)
    with pytest.raises(ValueError, match="kernel_size=17 must be even"):
        ConvTasNet(kernel_size=17)
    with pytest.raises(ValueError, match="mask='tanh' is not one of"):
        ConvTasNet(mask="tanh")
