"""Muon: momentum whose matrices are made orthogonal before they are applied, and Adam for everything that is no matrix.

Jordan et al. 2024, kellerjordan.github.io/posts/muon; the scale of a step, 0.2·√max(rows, columns), which lets both
kinds share one learning rate: Liu et al. 2025, arXiv:2502.16982 §2.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def orthogonal(g: Tensor, steps: int = 5) -> Tensor:
    """The nearest (semi-)orthogonal matrix to each of g (…, m, n), roughly: singular values end in about 0.7…1.2."""
    a, b, c = NEWTON_SCHULZ
    tall = g.shape[-2] > g.shape[-1]
    x = g.mT if tall else g
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        s = x @ x.mT
        x = a * x + (b * s + c * s @ s) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Steps matrices (and convolutions, as out × rest) by their orthogonalised momentum.

    Where `pool` is set, matrices of different shapes are stepped on its threads. `kind` is what they are made
    orthogonal in; it needs no accuracy.
    """

    pool: ThreadPoolExecutor | None = None
    kind = torch.float32

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0) -> None:
        super().__init__(list(params), {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step. Matrices of one shape go through Newton-Schulz in pairs."""
        for group in self.param_groups:
            by_shape: dict[tuple[int, ...], list[Tensor]] = {}
            for p in group["params"]:
                if p.grad is not None:
                    by_shape.setdefault(tuple(p.flatten(1).shape), []).append(p)
            jobs = [(alike[i : i + 2], group) for alike in by_shape.values() for i in range(0, len(alike), 2)]
            run = self.pool.map if self.pool else map
            list(run(lambda job: self._step_alike(*job), jobs))

    @torch.no_grad()
    def _step_alike(self, params: list[Tensor], group: dict) -> None:
        shape = tuple(params[0].flatten(1).shape)
        directions = []
        for p in params:
            memory = self.state[p].setdefault("momentum", torch.zeros_like(p))
            memory.mul_(group["momentum"]).add_(p.grad)
            directions.append((p.grad + group["momentum"] * memory).view(shape))
        scale = 0.2 * max(shape) ** 0.5
        for p, way in zip(params, orthogonal(torch.stack(directions).to(self.kind)), strict=True):
            p.mul_(1 - group["lr"] * group["weight_decay"])
            p.add_(way.to(p.dtype).view(p.shape), alpha=-group["lr"] * scale)


class Both:
    """Muon for the hidden matrices of `net`, AdamW for the rest; one learning rate, scheduled by `set_lr`."""

    def __init__(
        self,
        net: nn.Module,
        lr: float,
        adam: Callable[[str, Tensor], bool],
        weight_decay: float = 0.0,
        adam_ratio: float = 1.0,
    ) -> None:
        named = [(n, p) for n, p in net.named_parameters() if p.requires_grad]
        rest = [p for n, p in named if p.ndim < 2 or adam(n, p)]
        chosen = {id(p) for p in rest}
        self.muon = Muon([p for _, p in named if id(p) not in chosen], lr, weight_decay=weight_decay)
        self.adam = torch.optim.AdamW(rest, lr * adam_ratio, betas=(0.9, 0.98), weight_decay=0.0)
        self.lr, self.adam_ratio = lr, adam_ratio

    def set_lr(self, part: float) -> None:
        """`part` of the full learning rate, 0…1."""
        for group in self.muon.param_groups:
            group["lr"] = self.lr * part
        for group in self.adam.param_groups:
            group["lr"] = self.lr * self.adam_ratio * part

    def step(self) -> None:
        self.muon.step()
        self.adam.step()
        self.muon.zero_grad(set_to_none=True)
        self.adam.zero_grad(set_to_none=True)

    def state_dict(self) -> dict:
        return {"muon": self.muon.state_dict(), "adam": self.adam.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        self.muon.load_state_dict(state["muon"])
        self.adam.load_state_dict(state["adam"])


class Average:
    """Exponential average of a network's weights, with a horizon that grows with the number of steps."""

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.decay, self.steps = decay, 0
        self.weights = {n: p.detach().clone() for n, p in net.named_parameters()}

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        self.steps += 1
        keep = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for n, p in net.named_parameters():
            self.weights[n].lerp_(p, 1 - keep)
