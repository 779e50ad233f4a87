"""Compiled blocks whose weights are packed, or come from the host or the file: one graph each, the same pictures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from graph_runtime.plans import plans
from nodes.models.family import detect
from nodes.models.layers.blocks import blocks_of
from nodes.models.layers.compiled import using
from nodes.models.load import parts_of_transformer, place_transformer

from .. import checkpoints as made
from ..families import EXAMPLES, Example
from ..weights.test_streamed import DEEP
from .test_compiled import PROMPTS, Graphs, close, hooked, lora, painted


@pytest.fixture(params=EXAMPLES)
def deep(request: pytest.FixtureRequest) -> Example:
    example = EXAMPLES[request.param]
    return replace(example, config=replace(example.config, **DEEP[request.param]))


@pytest.mark.parametrize(("storage", "name"), [("Q8_0", "lean"), ("nf4", "prefetch"), ("unpacked", "disk")])
def test_one_graph_for_each_kind_of_block(deep: Example, storage: str, name: str, tmp_path: Path) -> None:
    with torch.device("meta"):
        state = made.drawn(deep.family.transformer.Transformer(deep.config))
    state = {name: tensor * (0.1 if tensor.ndim > 1 else 1) for name, tensor in state.items()}
    if storage == "Q8_0":
        found, storage = detect(made.save_gguf(tmp_path / "m.gguf", state, storage)[0], config=deep.beside), "packed"
    else:
        found = detect(made.save(tmp_path / "m.safetensors", state, {"config": json.dumps(deep.beside)}))
    every = plans(parts_of_transformer(found, torch.float32, storage), one_memory=False)
    plan = [one for one in every if one.name == name][-1]
    placed = place_transformer(found, torch.float32, "cpu", storage, plan)
    net: Any = placed.value
    family, graphs = (deep, net), Graphs()
    kinds = len({type(block) for blocks in blocks_of(net) for block in blocks})
    changes = [(lora(net, 4, 1), 0.8)] if storage == "unpacked" else []
    for number, tokens in enumerate(PROMPTS[:2]):
        with hooked(net, changes):
            expected = painted(family, tokens)
        with using(net, changes, backend=graphs) as held:
            result = painted(family, tokens)
        assert close(result, expected)
        assert held.compiled == (held.calls if number else 0), held.failed
        held.wait()
    assert not held.failed and graphs.made == kinds
    placed.close()
