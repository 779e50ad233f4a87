"""A transformer over several devices. Where there is no second device, parts of one stand for them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.models.family import detect
from nodes.models.load import load_transformer, parts_of_transformer, shared_out, spread_transformer
from nodes.models.sampling.noise import noise
from nodes.models.weights.spread import Seated, balanced, moved

from .. import checkpoints as made
from ..families import EXAMPLES


@settings(max_examples=100, deadline=None)
@given(
    blocks=st.lists(st.integers(1, 50), min_size=1, max_size=20),
    free=st.lists(st.integers(0, 300), min_size=1, max_size=4),
)
def test_blocks_are_shared_out_in_order_and_no_device_gets_more_than_it_has(blocks: list[int], free: list[int]) -> None:
    where = balanced(blocks, free)
    in_order, left, device = True, list(free), 0
    for count in blocks:  # the plain way: fill one device after the other
        while device < len(free) and left[device] < count:
            device += 1
        in_order = in_order and device < len(free)
        if in_order:
            left[device] -= count
    assert (where is not None) == in_order, "it is found whenever there is one"
    if where is not None:
        assert list(where) == sorted(where) and len(where) == len(blocks)
        for number, most in enumerate(free):
            assert sum(count for count, at in zip(blocks, where, strict=True) if at == number) <= most


def test_the_fullest_device_is_as_little_full_as_can_be() -> None:
    assert balanced([10] * 12, [100, 100]) == (0,) * 6 + (1,) * 6
    assert balanced([10] * 12, [100, 50]) == (0,) * 8 + (1,) * 4
    assert balanced([10] * 12, [0, 200]) == (1,) * 12
    assert balanced([10] * 12, [60, 50]) is None


@pytest.mark.parametrize("family", EXAMPLES)
def test_the_picture_is_the_same_and_activations_come_to_each_block(family: str, tmp_path: Path) -> None:
    example = EXAMPLES[family]
    deep = {"layers": 4} if example.family.name == "lumina" else {"double_blocks": 2, "single_blocks": 3}
    example = replace(example, config=replace(example.config, **deep))
    with torch.device("meta"):
        state = made.drawn(example.family.transformer.Transformer(example.config))
    state = {name: tensor * (0.1 if tensor.ndim > 1 else 1) for name, tensor in state.items()}
    found = detect(made.save(tmp_path / "m.safetensors", state, {"config": json.dumps(example.beside)}))
    parts = parts_of_transformer(found, torch.float32)
    most = sum(parts.blocks) * 7 // 10
    where = shared_out(parts, [parts.total - sum(parts.blocks) + most, most])
    assert where is not None and set(where) == {0, 1}
    assert shared_out(parts, [parts.total - sum(parts.blocks) - 1, parts.total]) is None
    assert shared_out(parts, [parts.total // 3, parts.total // 3]) is None, "then blocks come and go on one device"
    net = spread_transformer(found, torch.float32, "unpacked", ["cpu", "cpu"], where).value
    x, told = noise((1, example.config.latent_channels, 4, 6), 1), example.told(1, 5)
    spread, whole = (
        example.family.transformer.velocity(one, told, x.shape, [0.5])(x, 0.5)
        for one in (net, load_transformer(found, torch.float32))
    )
    assert torch.equal(spread, whole)


def test_what_a_block_is_called_with_comes_to_it_and_what_it_gives_goes_on() -> None:
    class Block(torch.nn.Module):
        def forward(self, x: torch.Tensor, pair: Any, scale: float, none: None) -> tuple[torch.Tensor, torch.Tensor]:
            assert x.device.type == "meta" and {one.device.type for one in pair} == {"meta"} and scale == 2.0
            return x, pair[0]

    seated = Seated(Block(), torch.device("meta"), torch.device("meta"))
    came = seated(torch.ones(2), (torch.ones(3), torch.ones(4)), 2.0, None)
    assert [one.shape for one in came] == [(2,), (3,)] and isinstance(came, tuple)
    assert moved([torch.ones(1), "text"], torch.device("meta"))[1] == "text"


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there are no two CUDA GPUs here")
def test_on_two_gpus_the_picture_is_that_of_one(tmp_path: Path) -> None:
    example = EXAMPLES["flux1"]
    found = detect(made.save(tmp_path / "m.safetensors", example.state(), {"config": json.dumps(example.beside)}))
    parts = parts_of_transformer(found, torch.float32)
    where = [0, *[1] * (len(parts.blocks) - 1)]
    x, told = noise((1, example.config.latent_channels, 4, 6), 1), example.told(1, 5)
    nets = [
        spread_transformer(found, torch.float32, "unpacked", ["cuda:0", "cuda:1"], where).value,
        load_transformer(found, torch.float32, "cuda:0"),
    ]
    a, b = (example.family.transformer.velocity(net, told, x.shape, [0.5])(x, 0.5) for net in nets)
    assert torch.equal(a, b)
