from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from graph_runtime.problem import Refused
from nodes.models.flux1 import keys
from nodes.models.flux1.config import Config
from nodes.models.flux1.transformer import Transformer
from nodes.models.weights.header import read_header
from nodes.models.weights.part import Part

from .. import checkpoints as made
from ..headers import header


def shapes_of(config: Config, diffusers: bool = False) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        state = {name: p.data for name, p in Transformer(config).named_parameters()}
        state = made.flux_to_diffusers(state, config.width) if diffusers else state
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def claimed(shapes: dict[str, tuple[int, ...]], config: dict[str, object] | None = None) -> Part:
    part = keys.match(header(shapes, config))
    assert part is not None
    return part


RELEASES = {
    "dev": (Config.dev(), 11_901_408_320, 780),
    "schnell": (Config.schnell(), 11_891_178_560, 776),
    "dev-control": (replace(Config.dev(), in_channels=128), 11_901_604_928, 780),
    "dev-fill": (replace(Config.dev(), in_channels=384), 11_902_391_360, 780),
}


@pytest.mark.parametrize("variant", RELEASES)
@pytest.mark.parametrize("diffusers", [False, True])
def test_every_release_is_known_by_its_shapes_alone(variant: str, diffusers: bool) -> None:
    config, parameters, tensors = RELEASES[variant]
    shapes = shapes_of(config, diffusers)
    part = claimed(shapes)
    assert (part.variant, part.config, part.layout) == (variant, config, "diffusers" if diffusers else "original")
    assert part.header.parameters == parameters
    assert len(shapes) == (tensors + 380 if diffusers else tensors)
    assert keys.rename(part).keys() == shapes_of(config).keys()


@pytest.mark.parametrize("prefix", keys.PREFIXES)
@pytest.mark.parametrize("diffusers", [False, True])
def test_every_prefix_is_taken_off(prefix: str, diffusers: bool) -> None:
    shapes = {prefix + name: shape for name, shape in shapes_of(made.FLUX, diffusers).items()}
    part = claimed(shapes | {"vae.decoder.conv_in.weight": (1,)}, made.AXES)
    assert part.prefix == prefix and part.config == made.FLUX


@pytest.mark.parametrize(
    "name",
    [
        "distilled_guidance_layer.in_proj.weight", "single_stream_modulation.lin.weight",
        "double_stream_modulation_img.lin.weight", "early_stream_modulations.0.lin.weight",
        "txt_in.individual_token_refiner.blocks.0.mlp.fc1.weight", "pos_embed.proj.weight",
        "controlnet_blocks.0.weight", "controlnet_x_embedder.weight", "input_hint_block.0.weight",
        "double_blocks.0.img_attn.qkv.lora_A.weight",
    ],
)  # fmt: skip
@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_a_relative_is_not_claimed(name: str, prefix: str) -> None:
    for diffusers in (False, True):
        shapes = {prefix + n: shape for n, shape in shapes_of(made.FLUX, diffusers).items()}
        assert keys.match(header(shapes | {prefix + name: (1,)}, made.AXES)) is None


@pytest.mark.parametrize("name", [*keys.ORIGINAL, *keys.DIFFUSERS])
def test_without_one_of_its_marks_a_file_is_not_claimed(name: str) -> None:
    shapes = shapes_of(made.FLUX, name in keys.DIFFUSERS)
    del shapes[name]
    assert keys.match(header(shapes, made.AXES)) is None


def test_axes_that_no_tensor_tells_are_asked_for() -> None:
    with pytest.raises(Refused, match="heads have 32 features"):
        keys.match(header(shapes_of(made.FLUX)))
    assert claimed(shapes_of(made.FLUX), {"axes_dim": [2, 14, 16]}).config.axes == (2, 14, 16)
    for wrong in ([8, 12], [8, 12, 11], "8", [8, 12, -12], [8.0, 12, 12], None):
        with pytest.raises(Refused):
            keys.match(header(shapes_of(made.FLUX), {"axes_dims_rope": wrong}))


WRONG = {
    "img_in.weight": [(64,), (0, 0), (60, 64), (64, 0), (64, 65)],
    "final_layer.linear.weight": [(64,), (0, 64), (48, 64), (10**9, 64)],
    "txt_in.weight": [(64,), (64, 0)],
    "double_blocks.0.img_attn.norm.key_norm.scale": [(), (0,), (48,), (10**6,)],
    "double_blocks.7.img_mlp.0.weight": [(1, 1)],
    "single_blocks.99999.linear1.weight": [(1, 1)],
    "double_blocks.0.img_mlp.0.weight": [(1,), (100, 64)],
}


@pytest.mark.parametrize(("name", "shape"), [(name, shape) for name, wrong in WRONG.items() for shape in wrong])
def test_shapes_that_cannot_be_are_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(Refused):
        keys.match(header(shapes_of(made.FLUX) | {name: shape}, made.AXES))


def test_halves_of_the_last_modulation_are_swapped_in_weight_and_bias(tmp_path: Path) -> None:
    state = made.flux_to_diffusers(made.flux_state())
    path = made.save(tmp_path / "m.safetensors", state, {"config": json.dumps(made.AXES)})
    part = keys.match(read_header(path))
    assert part is not None
    for leaf in ("weight", "bias"):
        pieces = keys.rename(part)[f"final_layer.adaLN_modulation.1.{leaf}"]
        rows = [(piece.start, piece.stop) for piece in pieces]
        assert rows == [(made.FLUX.width, 2 * made.FLUX.width), (0, made.FLUX.width)]
