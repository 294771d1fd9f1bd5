"""Optimizers that PyTorch has only in parts."""

import torch

from speechbrain_ext.training.processes import is_bfloat16_fast


class MuonInFloat32(torch.optim.Muon):
    """Muon for CPUs without bfloat16, in which PyTorch's own calculates.

    There its five steps for a matrix take longer than all the rest of a
    training step. Groups and state are those of `torch.optim.Muon`.

    Arguments
    ---------
    params, ...
        As for `torch.optim.Muon`, with the learning rate adjusted to
        "match_rms_adamw".

    Example
    -------
    >>> weight = torch.nn.Parameter(torch.zeros(2, 3))
    >>> optimizer = MuonInFloat32([weight], lr=0.01, weight_decay=0.0)
    >>> weight.grad = torch.tensor([[9.0, 0.0, 0.0], [0.0, 0.1, 0.0]])
    >>> optimizer.step()
    >>> update = weight.detach() / (-0.01 * 0.2 * 3**0.5)
    >>> bool(((update @ update.T).diag() - 1).abs().max() < 0.6)
    True
    """

    @torch.no_grad()
    def step(self, closure=None):
        """Update all parameters; see `torch.optim.Optimizer`."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)
        return loss

    def _update(self, parameter, group):
        """Update one matrix."""
        gradient, state = parameter.grad, self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        momentum, lr = group["momentum"], group["lr"]
        update = state["momentum_buffer"].lerp_(gradient, 1 - momentum)
        if group["nesterov"]:
            update = gradient.lerp(update, momentum)
        rows, columns = update.shape
        update = update.T if rows > columns else update
        update = update / update.norm().clamp(min=group["eps"])
        a, b, c = group["ns_coefficients"]
        for _ in range(group["ns_steps"]):
            gram = update @ update.T
            gram = torch.addmm(gram, gram, gram, beta=b, alpha=c)
            update = torch.addmm(update, gram, update, beta=a)
        update = update.T if rows > columns else update
        parameter.mul_(1 - lr * group["weight_decay"])
        scale = 0.2 * max(rows, columns) ** 0.5
        parameter.add_(update, alpha=-lr * scale)


class MuonWithAdam(torch.optim.Optimizer):
    """Muon for the matrices of a network, Adam for all its other parameters.

    Muon replaces the update of a weight matrix by the nearest orthogonal one
    (Jordan et al., "Muon: An optimizer for hidden layers in neural networks",
    2024), scaled to the size of Adam's updates (Liu et al., "Muon is Scalable
    for LLM Training", arXiv 2502.16982, section 2.2), so that one learning
    rate serves both.  PyTorch's own `torch.optim.Muon` takes matrices only;
    this joins it with `torch.optim.Adam` into one optimizer, whose groups and
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
            fast = is_bfloat16_fast(matrices[0].device)
            muon = (torch.optim.Muon if fast else MuonInFloat32)(
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
        """Let the parts work on this optimizer's groups and state."""
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
