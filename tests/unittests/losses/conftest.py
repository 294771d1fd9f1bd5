"""What the tests of the losses share."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode


class OperatorLog(TorchDispatchMode):
    """Record the name of every operator that runs inside `with`."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.append(str(function))
        return function(*args, **(kwargs or {}))

    @property
    def synchronizing(self):
        """Names of those that make the host wait for a device."""
        waiting = ("_local_scalar_dense", "nonzero", "equal")
        waiting = (*waiting, "_linalg_check_errors")
        waiting = tuple(f"aten.{name}" for name in waiting)
        return [name for name in self.names if name.startswith(waiting)]


@pytest.fixture
def operators():
    """Give a context that records operators: `with operators() as log`."""
    return OperatorLog


@pytest.fixture
def orthogonal():
    """Give a function that makes orthonormal signals without a mean."""

    def make(number, samples=400, seed=0, dtype=torch.float64):
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(samples, number + 1, generator=generator).double()
        x[:, 0] = 1
        return torch.linalg.qr(x)[0][:, 1:].T.contiguous().to(dtype)

    return make
