"""Loading weights of another model, save for parts that are left out."""

from fnmatch import fnmatchcase

import torch


def matching(names, patterns):
    """Find the names that match a pattern.

    Arguments
    ---------
    names : iterable of str
        Of weights, such as "decoders.0.weight".
    patterns : iterable of str
        As of files: ``decoders.*``.

    Returns
    -------
    found : set of str

    Raises
    ------
    ValueError
        If nothing matches a pattern.

    Example
    -------
    >>> sorted(matching(["encoder.weight", "decoder.bias"], ["de*"]))
    ['decoder.bias']
    """
    names, found = list(names), set()
    for pattern in patterns:
        own = {name for name in names if fnmatchcase(name, pattern)}
        if not own:
            parts = sorted({name.partition(".")[0] for name in names})
            raise ValueError(
                f"no weight matches {pattern!r}; their names begin with "
                + ", ".join(parts)
            )
        found |= own
    return found


def load_weights(module, path, without=()):
    """Load weights into a module; a hook of SpeechBrain's Pretrainer.

    Unlike SpeechBrain's own hook, it refuses weights that do not fit, unless
    they are left out on purpose.

    Arguments
    ---------
    module : torch.nn.Module
    path : str or PathLike
        A file of weights, as `torch.save` writes a state dict.
    without : iterable of str
        Patterns of names that are not taken: the module keeps its own.

    Raises
    ------
    ValueError
        If a pattern matches no weight.
    RuntimeError
        If another weight is missing, is too much, or has another shape.

    Example
    -------
    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/weights.ckpt"
    >>> torch.save(torch.nn.Linear(2, 3).state_dict(), path)
    >>> load_weights(torch.nn.Linear(2, 3), path, without=["bias"])
    """
    own = module.state_dict()
    loaded = torch.load(path, map_location="cpu", weights_only=True)
    for name in matching({**own, **loaded}, without):
        loaded.pop(name, None)
        if name in own:
            loaded[name] = own[name]
    module.load_state_dict(loaded)
