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
from nodes.models.family import FAMILIES, Family, family_named
from nodes.models.flux1.config import Config as FluxConfig
from nodes.models.flux2.config import Config as Flux2Config
from nodes.models.lumina.config import Config as LuminaConfig

from . import checkpoints as made
from .checkpoints import State
from .flux2 import namings as flux2


@dataclass(frozen=True)
class Example:
    """A family for tests, or one of its networks where they differ.

    name       of the example: the family's, or its own
    config     of the tiny model;  beside  what a config.json says that no tensor tells
    diffusers  original names and tensors → diffusers'; `unnamed` where diffusers has no such network
    told       (texts, tokens) → a conditioning for the tiny model
    published  releases: config, parameters, tensors under the original names, tensors under diffusers'
    marks      (name, shape) without which, or with which shape, a file is not of the family or is refused
    """

    name: str
    family: Family
    config: Any
    beside: dict[str, object]
    diffusers: Callable[[State, Any], State]
    told: Callable[[int, int], dict[str, Tensor]]
    published: dict[str, tuple[Any, int, int, int]]
    marks: tuple[str, ...]
    broken: dict[str, list[tuple[int, ...]]] = field(default_factory=dict)

    def state(self) -> State:
        return dict(_state(self.name))


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


def unnamed(state: State, config: Any) -> State:
    """As it is: there is one naming only."""
    return dict(state)


def flux_told(texts: int, tokens: int) -> dict[str, Tensor]:
    return {"text": draw(texts, tokens, 48, seed=3), "pooled": draw(texts, 32, seed=4)}


def aura_told(texts: int, tokens: int) -> dict[str, Tensor]:
    return {"text": draw(texts, tokens, 48, seed=3)}


def lumina_told(texts: int, tokens: int) -> dict[str, Tensor]:
    mask = torch.ones(texts, tokens)
    mask[0, tokens - 1] = 0
    return {"text": draw(texts, tokens, 48, seed=3) * mask[..., None], "mask": mask}


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


LUMINA_TOP = {
    "x_embedder": "patch_embedder.proj", "t_embedder.mlp.0": "time_caption_embed.timestep_embedder.linear_1",
    "t_embedder.mlp.2": "time_caption_embed.timestep_embedder.linear_2",
    "cap_embedder.0": "time_caption_embed.caption_embedder.0", "final_layer.linear": "norm_out.linear_2",
    "cap_embedder.1": "time_caption_embed.caption_embedder.1", "final_layer.adaLN_modulation.1": "norm_out.linear_1",
}  # fmt: skip
LUMINA_BLOCK = {
    "wq": ("attn1.to_q", "attn2.to_q"), "wk": ("attn1.to_k",), "wv": ("attn1.to_v",), "wk_y": ("attn2.to_k",),
    "wv_y": ("attn2.to_v",), "wo": ("attn2.to_out.0",), "q_norm": ("attn1.norm_q", "attn2.norm_q"),
    "k_norm": ("attn1.norm_k",), "ky_norm": ("attn2.norm_k",), "attention_norm1": ("norm1.norm",),
    "attention_norm2": ("norm2",), "attention_y_norm": ("norm1_context",), "adaLN_modulation.1": ("norm1.linear",),
    "w1": ("feed_forward.linear_1",), "w2": ("feed_forward.linear_2",), "w3": ("feed_forward.linear_3",),
}  # fmt: skip


def lumina_to_diffusers(state: State, config: Any) -> State:
    out: State = {"pad_token": state["pad_token"]}
    for name, tensor in state.items():
        stem, _, leaf = name.rpartition(".")
        if stem in LUMINA_TOP:
            out[f"{LUMINA_TOP[stem]}.{leaf}"] = tensor
        elif name.startswith("layers."):
            _, number, inner = name.split(".", 2)
            inner = inner.removeprefix("attention.").removeprefix("feed_forward.")
            if inner == "gate":
                out[f"layers.{number}.gate"] = tensor
                continue
            inner = inner.rpartition(".")[0]
            for new in LUMINA_BLOCK.get(inner, (inner,)):
                out[f"layers.{number}.{new}.{leaf}"] = tensor.clone()
    return out


EXAMPLES = {
    "flux1": Example(
        "flux1",
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
        "auraflow",
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
    "lumina": Example(
        "lumina",
        FAMILIES[2],
        LuminaConfig.tiny(),
        {"sample_size": 16},
        lumina_to_diffusers,
        lumina_told,
        {
            "Next-SFT": (LuminaConfig(), 1_627_386_400, 567, 639),
            "Next without shared heads": (LuminaConfig(kv_heads=32), 1_988_524_576, 567, 639),
        },
        ("layers.0.attention.wk_y.weight", "layers.0.attention_norm1.weight", "cap_embedder.1.weight"),
        {
            "x_embedder.weight": [(64,), (0, 0), (64, 15), (10**9, 16)],
            "layers.0.attention.gate": [(), (0,), (3,), (10**6,)],
            "layers.0.attention.wk.weight": [(33, 64), (64,)],
            "layers.7.attention.gate": [(4,)],
            "final_layer.linear.weight": [(31, 64), (64,), (8, 64)],
        },
    ),
    "flag_dit": Example(
        "flag_dit",
        FAMILIES[2],
        LuminaConfig.tiny(kv_heads=4, flag=True),
        {"sample_size": 16},
        unnamed,
        lumina_told,
        {"T2I 5B": (LuminaConfig.flag_dit(), 5_046_643_744, 688, 688)},
        ("layers.0.attention.wk_y.weight", "layers.0.attention_norm.weight", "eol_token"),
        {
            "x_embedder.weight": [(64,), (0, 0), (64, 15), (10**9, 16)],
            "layers.0.attention.gate": [(), (0,), (3,), (10**6,)],
            "layers.0.attention.wk.weight": [(33, 64), (64,)],
            "layers.7.attention.gate": [(4,)],
            "final_layer.linear.weight": [(31, 64), (64,), (8, 64)],
        },
    ),
    "flux2": Example(
        "flux2",
        family_named("flux2"),
        Flux2Config.tiny(),
        {},
        flux2.to_diffusers,
        aura_told,
        {
            "dev": (Flux2Config.dev(), 32_223_281_152, 299, 331),
            "klein-4b": (Flux2Config.klein_4b(), 3_875_544_576, 149, 169),
            "klein-9b": (Flux2Config.klein_9b(), 9_078_581_248, 201, 233),
        },
        ("double_stream_modulation_img.lin.weight", "img_in.weight", "single_blocks.0.linear1.weight"),
        {
            "img_in.weight": [(64,), (0, 0), (60, 128), (64, 0), (64, 129)],
            "txt_in.weight": [(64,), (64, 0), (64, 47)],
            "single_blocks.0.norm.key_norm.scale": [(0,), (48,), (10**6,)],
            "double_blocks.7.img_mlp.0.weight": [(1, 1)],
            "single_blocks.99999.linear1.weight": [(1, 1)],
            "double_blocks.0.img_mlp.0.weight": [(1,), (101, 64)],
        },
    ),
}
