"""Our Lumina-T2I against the original module, in float32, by numbers that the original gave once.

The original needs fairscale and flash-attn and is no part of this project. What it was given is made here by formula:
its weights, latents and texts. What it answered is in `tests/fixtures/lumina_t2i.json`.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nodes.models.lumina.config import Config
from nodes.models.lumina.transformer import Transformer, velocity
from nodes.models.sampling.guidance import cfg_of
from nodes.models.sampling.loop import sample, visited
from nodes.models.sampling.schedule import Schedule
from nodes.models.sampling.solvers import SOLVERS

WORST = 1e-5
"""Largest difference over the largest number."""
LENGTH = 9  # tokens of each text
FILLED = (9, 4, 2)  # of them that are some
SIDE = 8  # tokens of a side in training
FIXTURE = Path(__file__).parents[1] / "fixtures" / "lumina_t2i.json"
TRUTH: dict[str, Any] = json.loads(FIXTURE.read_text()) if FIXTURE.is_file() else {}
NETS = {
    "four heads": Config(
        width=64, layers=2, heads=4, kv_heads=4, text_width=48, mlp=176, condition=64, side=2 * SIDE, flag=True
    ),
    "two heads": Config(
        width=96, layers=3, heads=2, kv_heads=2, text_width=40, mlp=256, condition=96, side=2 * SIDE, flag=True
    ),
    "no norms of queries": Config(
        width=64, layers=2, heads=8, kv_heads=8, text_width=24, mlp=176, condition=64, side=2 * SIDE, flag=True,
        qk_norm=False,
    ),
}  # fmt: skip
# cells, σ, positions, whether attention is proportional
STEPS = {
    "small": ((4, 12), 0.9, "none", False),
    "tall": ((14, 6), 0.63, "ntk", True),
    "as in training": ((16, 16), 0.37, "none", True),
    "large, slowed": ((24, 40), 0.5, "ntk", True),
    "large, divided": ((24, 40), 0.003, "linear", False),
}
# cells, evaluations, guidance, shift
WALKS = {"square": ((16, 16), 5, 4.0, 4.0), "wide": ((8, 24), 8, 7.5, 4.0), "large": ((32, 24), 4, 4.0, 1.0)}


def numbers(*shape: int, key: int) -> Tensor:
    """As if drawn from −√3 … √3, and the same on every machine: what is behind the point of sin(a·i + b·key)·c."""
    i = torch.arange(1, math.prod(shape) + 1, dtype=torch.float64)
    drawn = (torch.sin(i * 12.9898 + key * 78.233) * 43758.5453) % 1.0
    return ((2 * drawn - 1) * 3**0.5).float().reshape(shape)


def weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """A weight for each name, by its place in the alphabet: norms about 1, matrices that keep what passes as large."""
    made = {}
    for key, (name, shape) in enumerate(sorted(shapes.items())):
        size = shape[-1] ** -0.5 if len(shape) > 1 else 0.3
        made[name] = numbers(*shape, key=key) * size + ("norm" in name and name.endswith("weight"))
    return made


def texts(width: int) -> tuple[Tensor, Tensor]:
    """text (3, L, Dt) and mask (3, L); what is masked is no zero."""
    return numbers(3, LENGTH, width, key=1001), torch.arange(LENGTH)[None] < torch.tensor(FILLED)[:, None]


def some(answer: Tensor) -> list[float]:
    """Eighteen numbers of an answer, from all over it."""
    flat = answer.flatten()
    return [float(flat[i * 7919 % len(flat)]) for i in range(1, 19)]


def off(came: Tensor, wanted: list[float]) -> float:
    """Largest difference of `some` numbers over the largest of them."""
    return max(abs(a - b) for a, b in zip(some(came), wanted, strict=True)) / max(map(abs, wanted))


@pytest.fixture(scope="module", params=NETS)
def net(request: pytest.FixtureRequest) -> tuple[str, Transformer]:
    found = Transformer(NETS[request.param])
    found.load_state_dict(weights({name: tuple(one.shape) for name, one in found.state_dict().items()}))
    return request.param, found.eval().requires_grad_(False)


@pytest.mark.parametrize("step", STEPS)
def test_a_step(step: str, net: tuple[str, Transformer]) -> None:
    """Three texts of different lengths; the original answers from noise to picture, ours the other way."""
    (name, ours), (cells, sigma, positions, proportional) = net, STEPS[step]
    x, (text, mask) = numbers(3, 4, *cells, key=1000), texts(ours.config.text_width)
    told = {"text": text, "mask": mask}
    v = velocity(ours, told, x.shape, [sigma], positions=positions, proportional=proportional)(x, sigma)
    assert off(-v, TRUTH["steps"][name][step]) <= WORST


@pytest.mark.parametrize("walk", WALKS)
def test_a_picture(walk: str, net: tuple[str, Transformer]) -> None:
    """From noise to the last latent, with guidance of three channels, and all that it does by default."""
    (name, ours), (cells, steps, scale, shift) = net, WALKS[walk]
    x, (text, mask) = numbers(1, 4, *cells, key=1000), texts(ours.config.text_width)
    told, away = ({"text": text[i : i + 1], "mask": mask[i : i + 1]} for i in (1, 2))
    sigmas, solver = Schedule(shift=shift).sigmas(steps, 0), SOLVERS["euler"]
    v = cfg_of(
        lambda said, shape: velocity(ours, said, shape, visited(solver, sigmas)), told, away, x.shape, scale, 3
    )  # fmt: skip
    *_, last = sample(v, x, sigmas, solver)
    assert off(last.x, TRUTH["walks"][name][walk]) <= WORST


@pytest.mark.parametrize(
    "wrong",
    [
        {"eol_token": 0.0}, {"layers.1.attention.gate": 0.0}, {"final_layer.adaLN_modulation.1.bias": 0.0},
        {"layers.0.adaLN_modulation.1.bias": 0.0}, {"layers.1.attention_y_norm.weight": 1.0},
        {"positions": "linear"}, {"proportional": False},
    ],
    ids=lambda wrong: next(iter(wrong)),
)  # fmt: skip
def test_the_numbers_notice_what_is_easily_wrong(wrong: dict[str, Any]) -> None:
    found, (cells, sigma, positions, proportional) = Transformer(NETS["four heads"]), STEPS["large, slowed"]
    found.load_state_dict(weights({name: tuple(one.shape) for name, one in found.state_dict().items()}))
    how = {"positions": positions, "proportional": proportional} | {k: v for k, v in wrong.items() if k[0] == "p"}
    for name in wrong.keys() - how.keys():
        found.get_parameter(name).detach().fill_(wrong[name])
    text, mask = texts(found.config.text_width)
    x = numbers(3, 4, *cells, key=1000)
    v = velocity(found, {"text": text, "mask": mask}, x.shape, [sigma], **how)(x, sigma)
    assert off(-v, TRUTH["steps"]["four heads"]["large, slowed"]) > 50 * WORST
