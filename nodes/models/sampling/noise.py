"""Where sampling starts: noise that is the same on every device, and mixtures of noise and a known latent.

Drawn on the CPU in float32 in the unpacked shape (B, C, h, w), as diffusers does with a CPU generator; another shape or
device would give other numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

from graph_runtime.problem import Problem, Refused

Seeds = int | Sequence[int] | Generator | Sequence[Generator]


def noise(shape: tuple[int, ...], seeds: Seeds) -> Tensor:
    """Standard normal (B, C, h, w), float32, on the CPU.

    One seed: one draw of the whole batch. A list of B seeds: one draw per image, so that an image does not depend on
    its neighbours. A torch.Generator in place of a seed goes on from where it stands. Refused: a list of other length.
    """
    if isinstance(seeds, int | Generator):
        return torch.randn(shape, generator=_generator(seeds), dtype=torch.float32)
    if len(seeds) != shape[0]:
        what = f"{len(seeds)} seeds for {shape[0]} images."
        raise Refused(Problem("seed-count", "seeds", what, "Give one seed, or one per image."))
    one = (1, *shape[1:])
    return torch.cat([torch.randn(one, generator=_generator(seed), dtype=torch.float32) for seed in seeds])


def stream(shape: tuple[int, ...], seed: int | list[int], device: torch.device | str) -> Callable[[], Tensor]:
    """A source of fresh noise for solvers that add some: each call draws the next (B, C, h, w) from the same seeds."""
    if isinstance(seed, int):
        generators: Generator | list[Generator] = _generator(seed ^ _OTHER)
    else:
        generators = [_generator(one ^ _OTHER) for one in seed]
    return lambda: noise(shape, generators).to(device)


def noised(latent: Tensor, noise: Tensor, sigma: float) -> Tensor:
    """The point at σ on the line between them: σ · noise + (1 − σ) · latent. Where image-to-image begins."""
    return sigma * noise + (1.0 - sigma) * latent


_OTHER = 0x5DEECE66D
"""Turns a seed into another one: the noise of a random solver must not repeat the noise x began with."""


def _generator(seed: int | Generator) -> Generator:
    return seed if isinstance(seed, Generator) else torch.Generator().manual_seed(seed)
