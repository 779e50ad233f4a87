"""Our Flux.1 against diffusers' on a CPU: one evaluation, four steps, and the two formulas that were rewritten.

    python tests/bench/bench_flux1.py

Processor time of one thread, both sides in turn, the least of several rounds: other work on the machine matters little.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from diffusers import FlowMatchEulerDiscreteScheduler, FluxTransformer2DModel
from torch import Tensor

from nodes.models.flux1.config import Config
from nodes.models.flux1.transformer import Transformer, image_ids, pack, text_ids, velocity
from nodes.models.layers.modulation import modulated
from nodes.models.layers.rope import rope_table, rotate
from nodes.models.sampling.loop import sample, visited
from nodes.models.sampling.schedule import Schedule
from nodes.models.sampling.solvers import SOLVERS

SIDE, TEXT = 32, 128
"""Cells of a latent's side (a picture of 256 pixels), tokens of text."""


def compare(name: str, theirs: Callable[[], object], ours: Callable[[], object], rounds: int = 7) -> None:
    """Print milliseconds of both and their ratio."""
    least = [float("inf"), float("inf")]
    for _ in range(rounds + 1):  # the first round warms up
        for side, run in enumerate((theirs, ours)):
            start = time.process_time()
            run()
            least[side] = min(least[side], time.process_time() - start)
    print(f"{name:<34}{least[0] * 1e3:9.2f}{least[1] * 1e3:9.2f}{least[0] / least[1]:8.2f}x")


def formulas(dtype: torch.dtype) -> None:
    """Rotation and modulation, as written out and as they are here; tokens of one block of a small model."""
    length, heads, width = (SIDE // 2) ** 2 + TEXT, 8, 64
    ids = torch.cat((text_ids(TEXT), image_ids(SIDE // 2, SIDE // 2)))
    table = rope_table(ids, (16, 24, 24), 10000)
    cos, sin = table.real.contiguous(), table.imag.contiguous()
    q = torch.randn(1, heads, length, width, dtype=dtype)

    def written_out() -> Tensor:
        first, second = q.float().unflatten(-1, (-1, 2)).unbind(-1)
        return torch.stack((first * cos - second * sin, second * cos + first * sin), -1).flatten(-2).to(dtype)

    compare(f"rotation, {dtype}", written_out, lambda: rotate(q, table))
    x, (shift, scale) = torch.randn(1, length, 512, dtype=dtype), torch.randn(2, 1, 1, 512, dtype=dtype)
    plain = lambda: F.layer_norm(x, (512,), eps=1e-6) * (1 + scale) + shift  # noqa: E731
    compare(f"modulation, {dtype}", plain, lambda: modulated(x, shift, scale))


def models() -> None:
    """A model of 512 features: one evaluation with everything else at hand, and four steps with everything."""
    config = Config(
        width=512, heads=8, double_blocks=4, single_blocks=8, text_width=256, pooled_width=128, axes=(16, 24, 24)
    )
    ours = Transformer(config).eval().requires_grad_(False)
    theirs = FluxTransformer2DModel(
        num_layers=4, num_single_layers=8, attention_head_dim=64, num_attention_heads=8, joint_attention_dim=256,
        pooled_projection_dim=128, guidance_embeds=True, axes_dims_rope=(16, 24, 24), patch_size=1, in_channels=64,
    ).eval().requires_grad_(False)  # fmt: skip
    x, text, pooled = torch.randn(1, 16, SIDE, SIDE), torch.randn(1, TEXT, 256), torch.randn(1, 128)
    places = {"img_ids": image_ids(SIDE // 2, SIDE // 2), "txt_ids": text_ids(TEXT)}
    sigmas = Schedule(dynamic=True).sigmas(4, SIDE * SIDE // 4)
    conditioning, guidance = {"text": text, "pooled": pooled}, torch.tensor([3.5])

    def their_velocity(tokens: Tensor, sigma: float) -> Tensor:
        return theirs(
            hidden_states=tokens, encoder_hidden_states=text, pooled_projections=pooled, guidance=guidance,
            timestep=torch.tensor([sigma]), return_dict=False, **places,
        )[0]  # fmt: skip

    def their_loop() -> Tensor:
        scheduler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
        scheduler.set_timesteps(sigmas=[1.0, 0.75, 0.5, 0.25], mu=Schedule(dynamic=True).mu(SIDE * SIDE // 4))
        tokens = pack(x)
        for t in scheduler.timesteps:
            v = their_velocity(tokens, float(t) / 1000)
            tokens = scheduler.step(v, t, tokens, return_dict=False)[0]
        return tokens

    def our_loop() -> Tensor:
        v = velocity(ours, conditioning, x.shape, visited(SOLVERS["euler"], sigmas), 3.5)
        *_, last = sample(v, x, sigmas, SOLVERS["euler"])
        return last.x

    v = velocity(ours, conditioning, x.shape, sigmas, 3.5)
    compare("one evaluation, float32", lambda: their_velocity(pack(x), 0.75), lambda: v(x, sigmas[1]))
    compare("four steps with preparation", their_loop, our_loop)


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(f"{'':<34}{'theirs':>9}{'ours':>9}   (ms)")
    with torch.no_grad():
        formulas(torch.float32)
        formulas(torch.bfloat16)
        models()
