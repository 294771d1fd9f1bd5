"""Files of weights: tensors by name, and nothing else."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from speechbrain_ext.console import printable
from speechbrain_ext.files import replaced
from speechbrain_ext.hub.refusal import RefusedError
from speechbrain_ext.models.state_dict import check_finite, read_state_dict

LARGEST_HEADER = 1024**2
MOST_DIMENSIONS = 8
# names of dtypes in safetensors
KINDS = set("F64 F32 F16 BF16 I64 I32 I16 I8 U8 BOOL".split())


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read a file of weights without running what it may hold.

    Nothing is made that is larger than the file.

    Arguments
    ---------
    path : Path
        safetensors by its suffix; everything else as `torch.save` writes it.

    Returns
    -------
    weights : dict
        Tensors by name, on the CPU.

    Raises
    ------
    RefusedError
        If it is damaged, or holds something else than named tensors.
    FileNotFoundError
        If there is no such file.

    Example
    -------
    >>> path = getfixture("tmp_path") / "encoder.safetensors"
    >>> write_weights(path, {"weight": torch.zeros(2)})
    >>> read_weights(path)
    {'weight': tensor([0., 0.])}
    """
    try:
        if path.suffix != ".safetensors":
            return read_state_dict(path)
        return read_safetensors(path)
    except (SafetensorError, ValueError) as error:
        reason = printable(str(error).removeprefix(f"{path} is "))
        raise RefusedError(
            f"{path} is refused, nothing of it was run: {reason}. Ask its "
            "author for safetensors, or for a plain dict of tensors"
        ) from error


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """Read safetensors with a small header and the usual kinds of numbers."""
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
    if size > LARGEST_HEADER:
        raise ValueError(f"its header says that it has {size} bytes")
    with safe_open(path, framework="pt", device="cpu") as file:
        slices = [file.get_slice(name) for name in file.keys()]
        if any(len(part.get_shape()) > MOST_DIMENSIONS for part in slices):
            raise ValueError(
                f"it holds tensors of more than {MOST_DIMENSIONS} dimensions"
            )
        kinds = {part.get_dtype() for part in slices}
        if not kinds <= KINDS:
            raise ValueError(
                f"it holds numbers of the kinds {sorted(map(str, kinds))}"
            )
        weights = {name: file.get_tensor(name) for name in file.keys()}
    check_finite(weights)
    return weights


def write_weights(path: Path, weights: Mapping[str, torch.Tensor]) -> None:
    """Write weights; the suffix decides on the format.

    Arguments
    ---------
    path : Path
        `.safetensors`, or `.ckpt` for what SpeechBrain's Pretrainer loads.
    weights : Mapping
        Tensors by name, on any device.

    Example
    -------
    >>> path = getfixture("tmp_path") / "encoder.ckpt"
    >>> write_weights(path, {"weight": torch.ones(2)})
    >>> read_weights(path)
    {'weight': tensor([1., 1.])}
    """
    # copies: tensors that share memory, or are views, are not written
    # by safetensors, and drag their whole storage into the other format
    copies = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in weights.items()
    }
    with replaced(path) as partial:
        if path.suffix == ".safetensors":
            # save_file makes files that nobody else may read
            partial.write_bytes(save(copies))
        else:
            torch.save(copies, partial)
