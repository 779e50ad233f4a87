"""Gradients of one batch on several threads: each works on its share with one core, the gradients are averaged.

On a processor this is up to twice as fast for small layers as letting every operation split itself.
Set OMP_NUM_THREADS=1 for it. On an accelerator there is one share and no thread.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn


class Twins:
    """Copies of a network that share its weights and keep their own gradients."""

    def __init__(self, net: nn.Module, count: int) -> None:
        self.nets = [net] + [copy.deepcopy(net) for _ in range(count - 1)]
        for other in self.nets[1:]:
            for p, q in zip(net.parameters(), other.parameters(), strict=True):
                q.data = p.data
        self.pool = ThreadPoolExecutor(count)

    def gradients(self, shares: Sequence[tuple], loss: Callable[..., tuple[Tensor, Tensor]]) -> Tensor:
        """Leaves the mean gradient of `loss(net, *share)` in the first network; returns the mean of what it reports."""

        def work(net: nn.Module, share: tuple) -> Tensor:
            torch.set_num_threads(1)
            value, report = loss(net, *share)
            (value / len(shares)).backward()
            return report

        if len(self.nets) == 1:
            return work(self.nets[0], shares[0])
        reports = list(self.pool.map(work, self.nets, shares))
        first = list(self.nets[0].parameters())
        for other in self.nets[1:]:
            for p, q in zip(first, other.parameters(), strict=True):
                if q.grad is not None:
                    p.grad = q.grad if p.grad is None else p.grad.add_(q.grad)
                q.grad = None
        return torch.stack(reports).mean(0)
