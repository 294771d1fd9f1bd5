"""Optimisers that PyTorch has only in parts."""

import torch


class MuonWithAdam(torch.optim.Optimizer):
    """Muon for the matrices of a network, Adam for all its other parameters.

    Muon replaces the update of a weight matrix by the nearest orthogonal one
    (Jordan et al., "Muon: An optimizer for hidden layers in neural networks",
    2024), scaled to the size of Adam's updates (Liu et al., "Muon is Scalable
    for LLM Training", arXiv 2502.16982, section 2.2), so that one learning
    rate serves both.  PyTorch's own `torch.optim.Muon` takes matrices only;
    this joins it with `torch.optim.Adam` into one optimiser, whose groups and
    state a schedule, a gradient scaler and a checkpoint see as usual.

    Arguments
    ---------
    params : iterable of torch.nn.Parameter
        All parameters of the network.
    lr : float
        Learning rate, of both.
    betas : tuple of float
        Of Adam.
    momentum : float
        Of Muon.
    weight_decay : float
        Of Muon, decoupled.

    Raises
    ------
    ValueError
        If there is no parameter, or a value is out of range.

    Example
    -------
    >>> layer = torch.nn.Linear(3, 2)
    >>> optimizer = MuonWithAdam(layer.parameters(), lr=0.01)
    >>> before = layer.weight.detach().clone()
    >>> layer(torch.randn(4, 3)).square().sum().backward()
    >>> optimizer.step()
    >>> update = (layer.weight.detach() - before) / (0.01 * 0.2 * 3**0.5)
    >>> bool(((update @ update.T).diag() - 1).abs().max() < 0.6)  # orthogonal
    True
    """

    def __init__(
        self,
        params,
        lr=0.002,
        betas=(0.9, 0.999),
        momentum=0.95,
        weight_decay=0.0,
    ):
        params = list(params)
        matrices = [p for p in params if p.ndim == 2]
        others = [p for p in params if p.ndim != 2]
        self._parts = []
        if matrices:
            muon = torch.optim.Muon(
                matrices,
                lr=lr,
                momentum=momentum,
                weight_decay=weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
            self._parts.append(muon)
        if others:
            self._parts.append(torch.optim.Adam(others, lr=lr, betas=betas))
        groups = [dict(part.param_groups[0]) for part in self._parts]
        super().__init__(groups, {"lr": lr})
        self._share()

    def _share(self):
        """Let the parts work on this optimiser's groups and state."""
        for group, part in zip(self.param_groups, self._parts, strict=True):
            part.param_groups = [group]
            part.state = self.state

    def load_state_dict(self, state_dict):
        """Load what `state_dict` gave; see `torch.optim.Optimizer`."""
        super().load_state_dict(state_dict)
        self._share()

    @torch.no_grad()
    def step(self, closure=None):
        """Update all parameters; see `torch.optim.Optimizer`."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self._parts:
            part.step()
        return loss
