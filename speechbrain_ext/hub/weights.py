"""Files of weights: tensors by name, and nothing else."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from speechbrain_ext.files import replaced
from speechbrain_ext.hub.refusal import Limits, RefusedError
from speechbrain_ext.models.separator import read_state_dict


def read_weights(
    path: Path, limits: Limits | None = None
) -> dict[str, torch.Tensor]:
    """Read a file of weights without running what it may hold.

    Arguments
    ---------
    path : Path
        safetensors by its suffix; everything else as `torch.save` writes it,
        read with `weights_only=True`.
    limits : Limits, optional
        The unpacked file may have `weight_bytes`.

    Returns
    -------
    weights : dict
        Tensors by name, on the CPU.

    Raises
    ------
    RefusedError
        If it is damaged, too large when unpacked, or holds something else
        than named tensors.

    Example
    -------
    >>> path = getfixture("tmp_path") / "encoder.safetensors"
    >>> write_weights(path, {"weight": torch.zeros(2)})
    >>> read_weights(path)
    {'weight': tensor([0., 0.])}
    """
    limits = limits or Limits()
    if path.suffix == ".safetensors":
        try:
            return load_file(path, device="cpu")
        except SafetensorError as error:
            raise RefusedError(f"{path} is damaged: {error}") from error
    check_unpacked_size(path, limits)
    try:
        weights = read_state_dict(path)
    except FileNotFoundError:
        raise
    except Exception as error:
        # a file made to be refused can make the reader fail in any way
        raise RefusedError(
            f"{path} is refused, nothing of it was run: {error}. Ask its "
            "author for safetensors, or for a plain dict of tensors"
        ) from error
    if any(value.layout != torch.strided for value in weights.values()):
        raise RefusedError(f"{path} holds sparse tensors")
    return weights


def check_unpacked_size(path: Path, limits: Limits) -> None:
    """Check the size of an archive before it is unpacked.

    Arguments
    ---------
    path : Path
        Written by `torch.save`.
    limits : Limits
        The unpacked file may have `weight_bytes`.

    Raises
    ------
    RefusedError
        If it unpacks to more.
    """
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise RefusedError(f"{path} is damaged: {error}") from error
    if size > limits.weight_bytes:
        raise RefusedError(
            f"{path} unpacks to {size} bytes, more than "
            f"{limits.weight_bytes}; Limits(weight_bytes=...) changes that"
        )


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
