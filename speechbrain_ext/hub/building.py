"""Building what a checked plan describes, its sizes first."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from speechbrain.nnet.containers import Sequential
from torch.utils._python_dispatch import TorchDispatchMode

from speechbrain_ext.console import printable
from speechbrain_ext.hub.allowed import find_class
from speechbrain_ext.hub.document import Call
from speechbrain_ext.hub.refusal import Limits


class OnMeta(TorchDispatchMode):
    """Makes tensors that have a size and take no memory, whoever asks."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Spare the import of PyTorch's compiler."""
        return False

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        """Do an operation on sizes only."""
        if function._schema.name.endswith("_"):
            return args[0]  # it has the same size whatever is put into it
        kwargs = dict(kwargs or {})
        if any(item.name == "device" for item in function._schema.arguments):
            kwargs["device"] = "meta"
        return function(*args, **kwargs)


@contextmanager
def sizes_only() -> Iterator[None]:
    """Build modules without taking memory for them.

    Some of SpeechBrain's containers try their layers out to learn shapes;
    that takes no memory either, nor a time that grows with the square of
    the number of layers.

    Example
    -------
    >>> with sizes_only():
    ...     layer = torch.nn.Linear(10**6, 10**6)
    >>> layer.weight.device.type
    'meta'
    """
    usual, tried = Sequential.get_output_shape, {}

    def output_shape(container: Sequential) -> torch.Size:
        """Try out the layers of a container, each of them once."""
        start = torch.zeros(container.input_shape), 0
        output, done = tried.get(container, start)
        for layer in list(container.values())[done:]:
            output = layer(output)
            output = output[0] if isinstance(output, tuple) else output
        tried[container] = output, len(container)
        return output.shape

    Sequential.get_output_shape = output_shape
    try:
        with torch.no_grad(), OnMeta():
            yield
    finally:
        Sequential.get_output_shape = usual


def build(call: Call, objects: dict[Call, object] | None = None) -> object:
    """Build what a call of a checked plan describes.

    Arguments
    ---------
    call : Call
        Passed by `check_plan`.
    objects : dict, optional
        What was built before; more is added. What is referred to twice is
        one object.

    Returns
    -------
    built : object

    Raises
    ------
    RefusedError
        If its class is not on the list.
    ValueError
        If the class does not take its arguments; the message names the line.

    Example
    -------
    >>> from pathlib import Path
    >>> from speechbrain_ext.hub.refusal import Place
    >>> place = Place(Path("hyperparams.yaml"), 1, "")
    >>> build(Call("torch.nn.ReLU", place))
    ReLU()
    """
    objects = {} if objects is None else objects
    if call in objects:
        return objects[call]
    entity = find_class(call)
    keywords = {
        key: build(value, objects) if isinstance(value, Call) else value
        for key, value in call.keywords.items()
    }
    try:
        objects[call] = entity(**keywords)
    except Exception as error:
        # whatever the class raises: the file gave it wrong arguments
        raise ValueError(
            f"{call.place.path}, line {call.place.line}: {call.name} cannot "
            f"be built from its arguments: {printable(error)}"
        ) from error
    return objects[call]


def build_sizes(calls: list[Call], limits: Limits) -> dict[Call, object]:
    """Build modules that take no memory, and count what they would take.

    Arguments
    ---------
    calls : list of Call
        Of a checked plan.
    limits : Limits
        Parameters and buffers may have `weight_bytes` together.

    Returns
    -------
    objects : dict
        What was built for each call.

    Raises
    ------
    RefusedError
        If they are too large.
    ValueError
        If a class does not take its arguments.
    """
    objects: dict[Call, object] = {}
    with sizes_only():
        for call in calls:
            build(call, objects)
    tensors = {
        id(tensor): tensor.numel() * tensor.element_size()
        for built in objects.values()
        for tensor in (*built.parameters(), *built.buffers())
    }
    what = "hyperparams.yaml: the modules need"
    limits.check(what, sum(tensors.values()), "weight_bytes")
    return objects


def materialize(call: Call, sizes: torch.nn.Module) -> torch.nn.Module:
    """Make the module of which only sizes are known, to be filled.

    Arguments
    ---------
    call : Call
        What describes it.
    sizes : torch.nn.Module
        Built by `build_sizes`.

    Returns
    -------
    module : torch.nn.Module
        On the CPU; windows, and what else no file of weights holds, have
        their values.
    """
    held = {id(value) for value in sizes.state_dict(keep_vars=True).values()}
    for module in sizes.modules():
        for value in (*module._buffers.values(), *vars(module).values()):
            if isinstance(value, torch.Tensor) and id(value) not in held:
                return build(call)
    return sizes.to_empty(device="cpu")
