import pytest
import torch

from speechbrain_ext.inference import active_outputs


def outputs(*levels_db):
    """White noise at levels re the first, one at 0 dB."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(len(levels_db), 4000, generator=generator)
    noise = noise / noise.square().mean(-1, keepdim=True).sqrt()
    return 0.1 * noise * 10 ** (torch.tensor(levels_db)[:, None] / 20)


def test_the_loudest_comes_first_and_the_faint_are_told():
    found = active_outputs(estimates=outputs(-29.9, -90.0, 0.0, -30.1, -10.0))
    assert found.order.tolist() == [2, 4, 0, 3, 1]
    assert found.active.tolist() == [True, False, True, False, True]


@pytest.mark.parametrize(
    ("threshold_db", "count"), [(0.0, 1), (9.9, 1), (10.1, 2), (100.0, 3)]
)
def test_the_threshold_is_relative_to_the_loudest(threshold_db, count):
    estimates = outputs(0.0, -10.0, -50.0)
    for gain in (1.0, 1e-3, 1e3):
        found = active_outputs(
            estimates=gain * estimates, threshold_db=threshold_db
        )
        assert int(found.active.sum()) == count


def test_each_item_of_a_batch_has_its_own_loudest():
    batch = torch.stack(
        (outputs(0.0, -40.0), 0.001 * outputs(0.0, -40.0), outputs(-40.0, 0.0))
    )
    found = active_outputs(estimates=batch)
    assert found.order.tolist() == [[0, 1], [0, 1], [1, 0]]
    assert found.active.tolist() == [[True, False]] * 2 + [[False, True]]


def test_silence_holds_no_source():
    found = active_outputs(estimates=torch.zeros(3, 100))
    assert found.order.tolist() == [0, 1, 2]
    assert not found.active.any()
    assert not active_outputs(estimates=torch.full((2, 9), 1e-9)).active.any()


@pytest.mark.parametrize("offset", [0.1, -0.7, 30.0])
def test_an_offset_is_no_sound(offset):
    estimates = outputs(0.0, -40.0, -20.0)
    estimates[1] = offset
    estimates[2] += offset
    found = active_outputs(estimates=estimates)
    assert found.order.tolist() == [0, 2, 1]
    assert found.active.tolist() == [True, False, True]
    alone = torch.full((2, 1000), offset)
    assert not active_outputs(estimates=alone).active.any()


def test_errors_name_the_value():
    for wrong in (-1.0, float("nan")):
        with pytest.raises(ValueError, match=f"threshold_db={wrong}"):
            active_outputs(estimates=torch.ones(2, 9), threshold_db=wrong)
    for shape in ((9,), (2, 0)):
        with pytest.raises(ValueError, match="must be .* outputs, time"):
            active_outputs(estimates=torch.zeros(shape))
