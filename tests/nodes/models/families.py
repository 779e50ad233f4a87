"""What tests need of each family: a tiny model, its files in every naming, and the sizes that were published.

Names are written out here a second time, from the published files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor

from nodes.models.auraflow.config import Config as AuraConfig
from nodes.models.family import FAMILIES, Family
from nodes.models.flux1.config import Config as FluxConfig

from . import checkpoints as made
from .checkpoints import State


@dataclass(frozen=True)
class Example:
    """A family for tests.

    config     of the tiny model;  beside  what a config.json says that no tensor tells
    diffusers  original names and tensors → diffusers'
    told       (texts, tokens) → a conditioning for the tiny model
    published  releases: config, parameters, tensors under the original names, tensors under diffusers'
    marks      (name, shape) without which, or with which shape, a file is not of the family or is refused
    """

    family: Family
    config: Any
    beside: dict[str, object]
    diffusers: Callable[[State, Any], State]
    told: Callable[[int, int], dict[str, Tensor]]
    published: dict[str, tuple[Any, int, int, int]]
    marks: tuple[str, ...]
    broken: dict[str, list[tuple[int, ...]]] = field(default_factory=dict)

    def state(self) -> State:
        return dict(_state(self.family.name))


@cache
def _state(name: str) -> State:
    example = EXAMPLES[name]
    with torch.device("meta"):
        return made.drawn(example.family.transformer.Transformer(example.config))


def meta_state(example: Example, config: Any) -> State:
    with torch.device("meta"):
        return dict(example.family.transformer.Transformer(config).state_dict())


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def flux_told(texts: int, tokens: int) -> dict[str, Tensor]:
    return {"text": draw(texts, tokens, 48, seed=3), "pooled": draw(texts, 32, seed=4)}


def aura_told(texts: int, tokens: int) -> dict[str, Tensor]:
    return {"text": draw(texts, tokens, 48, seed=3)}


AURA_TOP = {
    "register_tokens": "register_tokens", "positional_encoding": "pos_embed.pos_embed",
    "init_x_linear.weight": "pos_embed.proj.weight", "init_x_linear.bias": "pos_embed.proj.bias",
    "t_embedder.mlp.0.weight": "time_step_proj.linear_1.weight", "final_linear.weight": "proj_out.weight",
    "t_embedder.mlp.0.bias": "time_step_proj.linear_1.bias", "cond_seq_linear.weight": "context_embedder.weight",
    "t_embedder.mlp.2.weight": "time_step_proj.linear_2.weight",
    "t_embedder.mlp.2.bias": "time_step_proj.linear_2.bias",
}  # fmt: skip
AURA_BLOCK = {
    "modX.1": "norm1.linear", "modC.1": "norm1_context.linear", "modCX.1": "norm1.linear", "c_fc1": "linear_1",
    "c_fc2": "linear_2", "c_proj": "out_projection", "mlpX": "ff", "mlpC": "ff_context", "mlp": "ff",
}  # fmt: skip


def aura_to_diffusers(state: State, config: Any) -> State:
    out: State = {}
    for name, tensor in state.items():
        if name == "modF.1.weight":
            shift, scale = tensor.chunk(2)
            out["norm_out.linear.weight"] = torch.cat((scale, shift))
        elif name in AURA_TOP:
            out[AURA_TOP[name]] = tensor
        else:
            kind, number, *inner = name.removesuffix(".weight").split(".")
            double = kind == "double_layers"
            if inner[0] == "attn":
                part = inner[1][2]
                added = double and inner[1][1] == "1"
                new = f"add_{part}_proj" if added else f"to_{part}"
                new = "attn." + {"add_o_proj": "to_add_out", "to_o": "to_out.0"}.get(new, new)
            elif inner[0].startswith("mod"):
                new = AURA_BLOCK[".".join(inner)]
            else:
                new = f"{AURA_BLOCK[inner[0]]}.{AURA_BLOCK[inner[1]]}"
            out[f"{'joint' if double else 'single'}_transformer_blocks.{number}.{new}.weight"] = tensor
    return out


EXAMPLES = {
    "flux1": Example(
        FAMILIES[0],
        made.FLUX,
        dict(made.AXES),
        lambda state, config: made.flux_to_diffusers(state, config.width),
        flux_told,
        {
            "dev": (FluxConfig.dev(), 11_901_408_320, 780, 1160),
            "schnell": (FluxConfig.schnell(), 11_891_178_560, 776, 1156),
        },
        ("img_in.weight", "vector_in.in_layer.weight"),
        {"img_in.weight": [(64,), (0, 0), (60, 64)], "txt_in.weight": [(64, 0)]},
    ),
    "auraflow": Example(
        FAMILIES[1],
        AuraConfig.tiny(),
        {"num_attention_heads": 4},
        aura_to_diffusers,
        aura_told,
        {
            "v0.1a": (AuraConfig(grid=32), 6_833_439_744, 331, 331),
            "v0.2": (AuraConfig(grid=64), 6_842_876_928, 331, 331),
            "v0.3": (AuraConfig(), 6_858_605_568, 331, 331),
        },
        ("double_layers.0.attn.w1q.weight", "cond_seq_linear.weight", "positional_encoding"),
        {
            "init_x_linear.weight": [(64,), (0, 0), (64, 15), (10**9, 16)],
            "positional_encoding": [(64,), (1, 63, 64), (1, 0, 64), (1, 10**12, 64)],
            "register_tokens": [(64,), (1, 0, 64), (1, 10**6, 64)],
            "double_layers.7.modX.1.weight": [(384, 64)],
            "single_layers.99999.modCX.1.weight": [(384, 64)],
        },
    ),
}
