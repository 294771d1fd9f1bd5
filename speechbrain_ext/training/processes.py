"""What kinds of arithmetic a device is fast at."""

import torch


def is_bfloat16_fast(device: str | torch.device | None = None) -> bool:
    """Tell whether bfloat16 pays: CPUs without it emulate it, slowly.

    Arguments
    ---------
    device : str or torch.device, optional
        By default a GPU if there is one.

    Returns
    -------
    fast : bool

    Example
    -------
    >>> is_bfloat16_fast("cpu") in (True, False)
    True
    """
    name = "cuda" if device is None else torch.device(device).type
    if name != "cpu" and torch.cuda.is_available():
        return True
    found = torch.cpu.get_capabilities()
    return any(there for name, there in found.items() if "bf16" in name)
