"""Building what a checked plan describes."""

import functools
import importlib
from collections.abc import Mapping

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from speechbrain_ext.hub.allowed import ALLOWED, PRETRAINER
from speechbrain_ext.hub.plan import Call
from speechbrain_ext.hub.refusal import Limits, RefusedError

MOST_OPERATIONS = 200_000


class BoundedMemory(TorchDispatchMode):
    """Stops the building of modules that are too large for any use.

    A file of one line can ask for a layer of a terabyte, or for a million
    layers. Sizes of new tensors are found before memory is taken, and add
    up; results of calculations (some classes try their layers out) do not.

    Arguments
    ---------
    limits : Limits
        `weight_bytes` may be taken, over all.

    Example
    -------
    >>> with BoundedMemory(Limits(weight_bytes=1000)):
    ...     layer = torch.nn.Linear(10, 10)
    ...     _ = torch.nn.Linear(1000, 1000)
    Traceback (most recent call last):
    ...
    speechbrain_ext.hub.refusal.RefusedError: the modules need more than 1000
    bytes; Limits(weight_bytes=...) changes that
    """

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self.limits = limits
        self.taken = 0
        self.operations = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        """Count an operation before and after it is done."""
        kwargs = kwargs or {}
        self.operations += 1
        if self.operations > MOST_OPERATIONS:
            raise RefusedError(
                f"building the modules takes more than {MOST_OPERATIONS} "
                "operations on tensors; there are too many layers"
            )
        arguments = function._schema.arguments
        if any(argument.name == "device" for argument in arguments):
            # what it makes has a size on the device meta, and takes nothing
            self.take(function(*args, **{**kwargs, "device": "meta"}))
        result = function(*args, **kwargs)
        if function.overloadpacket is torch.ops.aten.clone:
            self.take(result)
        return result

    def take(self, made: object) -> None:
        """Add the memory of what was made, if it is a tensor."""
        if isinstance(made, torch.Tensor):
            self.taken += made.numel() * made.element_size()
        if self.taken > self.limits.weight_bytes:
            raise RefusedError(
                f"the modules need more than {self.limits.weight_bytes} "
                "bytes; Limits(weight_bytes=...) changes that"
            )


def build(
    plan: Mapping[str, object], limits: Limits | None = None
) -> tuple[dict[str, object], dict[Call, object]]:
    """Build the objects of a plan that has been checked.

    Arguments
    ---------
    plan : Mapping
        From `make_plan`, and passed by `check_plan`.
    limits : Limits, optional
        Memory that modules may take while they are built.

    Returns
    -------
    hparams : dict
        As HyperPyYAML would give it: without keys that begin with `__`.
    objects : dict
        What was built for each call.

    Raises
    ------
    RefusedError
        If a module is too large.
    ValueError
        If a class does not take its arguments; the message names the line.

    Example
    -------
    >>> from pathlib import Path
    >>> from speechbrain_ext.hub.refusal import Place
    >>> place = Place(Path("hyperparams.yaml"), 1, "")
    >>> linear = Call("!new:", "torch.nn.Linear", place, [2, 3])
    >>> hparams, _ = build({"linear": linear, "again": linear})
    >>> hparams["linear"] is hparams["again"]
    True
    """
    builder = Builder()
    with BoundedMemory(limits or Limits()):
        hparams = {
            key: builder.value(value)
            for key, value in plan.items()
            if not str(key).startswith("__")
        }
    return hparams, builder.objects


class Builder:
    """Builds each call once; lists and dicts stay shared as they were."""

    def __init__(self) -> None:
        self.objects: dict[Call, object] = {}
        self.collections: dict[int, object] = {}

    def value(self, value: object) -> object:
        """Give the object for a value of the plan."""
        if isinstance(value, Call):
            if value not in self.objects:
                self.objects[value] = self.call(value)
            return self.objects[value]
        if not isinstance(value, list | dict):
            return value
        if id(value) not in self.collections:
            if isinstance(value, list):
                made = [self.value(item) for item in value]
            else:
                made = {key: self.value(item) for key, item in value.items()}
            self.collections[id(value)] = made
        return self.collections[id(value)]

    def call(self, call: Call) -> object:
        """Import a class of the list, and build it."""
        if call.name not in ALLOWED and call.name != PRETRAINER:
            raise call.place.refuse(f"{call.name} is not on the list")
        module, _, name = call.name.rpartition(".")
        entity = getattr(importlib.import_module(module), name)
        positional = [self.value(item) for item in call.positional]
        keywords = {key: self.value(v) for key, v in call.keywords.items()}
        if call.kind == "!name:":
            if not positional and not keywords:
                return entity
            return functools.partial(entity, *positional, **keywords)
        try:
            return entity(*positional, **keywords)
        except RefusedError as error:
            raise RefusedError(
                f"{call.place.path}, line {call.place.line}: {error}"
            ) from error
        except Exception as error:
            # whatever the class raises: the file gave it wrong arguments
            raise ValueError(
                f"{call.place.path}, line {call.place.line}: {call.name} "
                f"cannot be built from its arguments: {error}"
            ) from error
