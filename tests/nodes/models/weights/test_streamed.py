"""The same numbers come out wherever the weights wait. Bit for bit, for every family and every plan."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from graph_runtime.context import Footprint, Plan
from graph_runtime.plans import plans
from graph_runtime.problem import Refused
from nodes.models.family import Found, detect
from nodes.models.layers import multiplied
from nodes.models.layers.blocks import blocks_of
from nodes.models.layers.bnb import installed
from nodes.models.layers.lowrank import LowRank, attached
from nodes.models.load import parts_of_transformer, place_transformer
from nodes.models.sampling.loop import sample, visited
from nodes.models.sampling.noise import noise
from nodes.models.sampling.solvers import SOLVERS
from nodes.models.weights.place import nbytes
from nodes.models.weights.storage import linears

from .. import checkpoints as made
from ..families import EXAMPLES, Example

DEEP: dict[str, dict[str, int]] = {
    "flux1": {"double_blocks": 3, "single_blocks": 4},
    "auraflow": {"double_blocks": 3, "single_blocks": 4},
    "flux2": {"double_blocks": 3, "single_blocks": 4},
    "lumina": {"layers": 7},
    "flag_dit": {"layers": 7},
}
SIGMAS = [1.0, 0.5, 0.0]


@pytest.fixture(scope="module", params=EXAMPLES)
def deep(request: pytest.FixtureRequest) -> Example:
    example = EXAMPLES[request.param]
    return replace(example, config=replace(example.config, **DEEP[request.param]))


@pytest.fixture(scope="module")
def found(deep: Example, tmp_path_factory: pytest.TempPathFactory) -> Found:
    """A file of random weights whose first and last blocks are no more alike than others."""
    with torch.device("meta"):
        state = made.drawn(deep.family.transformer.Transformer(deep.config))
    state = {name: tensor * (0.1 if tensor.ndim > 1 else 1) for name, tensor in state.items()}
    path = tmp_path_factory.mktemp(deep.family.name) / "m.safetensors"
    return detect(made.save(path, state, {"config": json.dumps(deep.beside)}))


def each_plan(parts: Footprint) -> Iterator[Plan]:
    """No block away, some and all of them; on the host and in the file."""
    every = [*plans(parts, one_memory=False), *plans(parts, one_memory=True)]
    blocks = len(parts.blocks)
    yield from {plan: None for plan in every if len(plan.away) in (0, 4, blocks)}


def picture(net: Any, example: Example, sigmas: list[float] = SIGMAS, late: bool = False) -> Tensor:
    """Two steps. `late`: at levels that nobody announced."""
    x, solver = noise((1, example.config.latent_channels, 4, 6), 1), SOLVERS["euler"]
    asked = [1.0] if late else visited(solver, sigmas)
    v = example.family.transformer.velocity(net, example.told(1, 5), x.shape, asked)
    *_, last = sample(v, x, sigmas, solver)
    assert last.x.isfinite().all()
    return last.x


def under(found: Found, plan: Plan, storage: str = "unpacked", dtype: torch.dtype = torch.float32) -> Any:
    return place_transformer(found, dtype, "cpu", storage, plan)


@pytest.mark.parametrize(
    ("storage", "dtype"),
    [("unpacked", torch.float32), ("unpacked", torch.bfloat16), ("int8", torch.float32), ("nf4", torch.bfloat16)],
)
def test_the_picture_is_the_same_bit_for_bit_under_every_plan(
    deep: Example, found: Found, storage: str, dtype: torch.dtype
) -> None:
    parts = parts_of_transformer(found, dtype, storage)
    seen, wanted = set(), None
    for plan in each_plan(parts):
        placed = under(found, plan, storage, dtype)
        assert placed.nbytes <= plan.device
        if plan.name != "resident":
            assert placed.nbytes < parts.total
        came = picture(placed.value, deep)
        wanted = came if wanted is None else wanted
        assert torch.equal(came, wanted), plan
        assert torch.equal(picture(placed.value, deep), wanted), "and again, with blocks of the last step in the ring"
        placed.close()
        seen.add((plan.name, plan.early))
    assert seen == {("resident", "device"), ("lean", "host"), ("lean", "disk"), ("prefetch", "host"), ("disk", "disk")}
    left = [one.name for one in threading.enumerate() if one.name.startswith("blocks")]
    assert not left, "a closed model leaves no thread"


def test_levels_that_nobody_announced_are_answered_alike(deep: Example, found: Found) -> None:
    parts = parts_of_transformer(found, torch.float32)
    pictures = [picture(under(found, plan).value, deep, late=True) for plan in each_plan(parts) if plan.early != "host"]
    assert len(pictures) > 3 and all(torch.equal(one, pictures[0]) for one in pictures)


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0"])
def test_blocks_of_gguf_stay_packed_wherever_they_wait(deep: Example, kind: str, tmp_path: Path) -> None:
    with torch.device("meta"):
        state = made.drawn(deep.family.transformer.Transformer(deep.config))
    state = {name: tensor * (0.1 if tensor.ndim > 1 else 1) for name, tensor in state.items()}
    found = detect(made.save_gguf(tmp_path / "m.gguf", state, kind)[0], config=deep.beside)
    parts = parts_of_transformer(found, torch.float32, "packed")
    assert parts.total < 0.6 * parts_of_transformer(found, torch.float32).total
    pictures = [picture(under(found, plan, "packed").value, deep) for plan in each_plan(parts)]
    assert len(pictures) > 5 and all(torch.equal(one, pictures[0]) for one in pictures)


ABSENT = pytest.mark.skipif(not installed(), reason="bitsandbytes is not installed")


@pytest.mark.parametrize(
    "storage", ["fp8-matmul", *(pytest.param(one, marks=ABSENT) for one in ("bnb-int8", "bnb-nf4"))]
)
def test_what_is_multiplied_as_it_is_packed_waits_on_the_host_or_in_its_file(
    deep: Example, found: Found, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its codes and scales lie apart. Float8 is multiplied by the CPU, if its torch can."""
    monkeypatch.setattr(multiplied, "DEVICES", ("cpu",))
    multiplied.lacking.cache_clear()
    parts = parts_of_transformer(found, torch.float32, storage)
    every = list(each_plan(parts))
    assert {plan.name for plan in every} == {"resident", "lean", "prefetch", "disk"}
    pictures = []
    for plan in every:
        placed = under(found, plan, storage)
        assert placed.nbytes <= plan.device
        pictures.append(picture(placed.value, deep))
    assert all(torch.equal(one, pictures[0]) for one in pictures)
    multiplied.lacking.cache_clear()


@pytest.mark.parametrize("storage", ["bnb-int8", "bnb-nf4"])
def test_blocks_for_bitsandbytes_come_out_of_the_file_taken_apart(deep: Example, found: Found, storage: str) -> None:
    def blocks(net: Any) -> Iterator[dict[str, Tensor]]:
        for one in blocks_of(net):
            yield from ({k: v.clone() for k, v in block.state_dict().items()} for block in one.in_order())

    whole = under(found, next(plans(parts_of_transformer(found, torch.float32, storage), True)), storage).value
    last = list(plans(parts_of_transformer(found, torch.float32, storage), True))[-1]
    placed = under(found, last, storage)
    for wanted, came in zip(blocks(whole), blocks(placed.value), strict=True):
        here = [name for name, tensor in came.items() if not tensor.is_meta]  # all but what is called before the steps
        assert sum(name.endswith(".scales") for name in here) > 1
        assert all(torch.equal(came[name], wanted[name]) for name in here)
    placed.close()


def test_a_lora_stands_beside_blocks_that_come_and_go(deep: Example, found: Found) -> None:
    def changed(plan: Plan) -> Tensor:
        placed = under(found, plan)
        changes, draw = LowRank(), torch.Generator().manual_seed(3)
        for name, linear in list(linears(placed.value))[::3]:
            down = torch.randn(2, linear.in_features, generator=draw) * 0.1
            changes.add(name, 0, down, torch.randn(linear.out_features, 2, generator=draw) * 0.1)
        with attached(placed.value, changes, 0.7):
            return picture(placed.value, deep)

    parts = parts_of_transformer(found, torch.float32)
    every = list(each_plan(parts))
    pictures = [changed(plan) for plan in every]
    assert all(torch.equal(one, pictures[0]) for one in pictures)
    assert not torch.equal(pictures[0], picture(under(found, every[0]).value, deep))


def test_what_is_counted_from_headers_is_what_it_takes(deep: Example, found: Found) -> None:
    parts = parts_of_transformer(found, torch.float32)
    placed = under(found, next(plans(parts, False)))
    exact = nbytes(placed.value)
    assert exact <= parts.total < 1.15 * exact, "tiny tensors begin at multiples of 256 bytes"
    assert 0 < parts.leaf < parts.early and len(parts.blocks) == sum(DEEP[deep.family.name].values())
    whole = next(plan for plan in plans(parts, False) if len(plan.away) == len(parts.blocks))
    streamed = under(found, whole)
    assert streamed.nbytes <= whole.device and streamed.nbytes >= whole.device - parts.leaf - 2048
    away = [tensor for tensor in streamed.value.state_dict().values() if tensor.is_meta]
    assert sum(t.numel() * t.element_size() for t in away) > 0.8 * (parts.early + sum(parts.blocks))


def test_weights_that_are_away_cannot_be_read_by_mistake(deep: Example, found: Found) -> None:
    parts = parts_of_transformer(found, torch.float32)
    net = under(found, list(plans(parts, True))[-1]).value
    picture(net, deep)
    away = [name for name, tensor in net.named_parameters() if tensor.is_meta]
    assert set(net.before_loop()) & set(away) and len(away) > 20
    with pytest.raises((RuntimeError, NotImplementedError)):
        (net.get_parameter(away[0]) + torch.ones(1)).sum().item()


def test_a_parked_model_comes_back(deep: Example, found: Found) -> None:
    parts = parts_of_transformer(found, torch.float32)
    for plan in each_plan(parts):
        if plan.name == "resident":
            continue
        placed = under(found, plan)
        wanted = picture(placed.value, deep)
        taken = placed.nbytes
        placed.move("cpu")
        assert placed.nbytes == taken and torch.equal(picture(placed.value, deep), wanted)
        placed.move("meta")  # nowhere that it computes: the ring is given back
        assert placed.nbytes == 0
        placed.close()


def test_a_file_that_is_cut_while_it_is_used_is_named(deep: Example, found: Found, tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(found.path.read_bytes())
    there = detect(path)
    plan = list(plans(parts_of_transformer(there, torch.float32), True))[-1]
    net = under(there, plan).value
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(Refused, match="The file ended inside"):
        picture(net, deep)
    path.write_bytes(found.path.read_bytes())
    assert torch.equal(picture(net, deep), picture(under(found, plan).value, deep)), "and nothing is left of it"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU here")
def test_on_a_gpu_with_little_memory_the_picture_is_the_same(deep: Example, found: Found) -> None:
    parts = parts_of_transformer(found, torch.float32)
    wanted = None
    for plan in each_plan(parts):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        placed = place_transformer(found, torch.float32, "cuda:0", "unpacked", plan)
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, (plan.device + (256 << 20)) / total))
        try:
            came = picture(placed.value, deep)
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
        wanted = came if wanted is None else wanted
        assert torch.equal(came, wanted), plan
        placed.close()


def test_an_error_between_blocks_leaves_the_ring_usable(deep: Example, found: Found) -> None:
    parts = parts_of_transformer(found, torch.float32)
    plan = list(plans(parts, True))[-1]
    net = under(found, plan).value
    wanted = picture(net, deep)

    class Stop(Exception):
        pass

    def stop(module: nn.Module, args: Any) -> None:
        raise Stop

    last = [one for one in net.modules() if isinstance(one, nn.ModuleList)][-1][2]
    handle = last.register_forward_pre_hook(stop)
    with pytest.raises(Stop):
        picture(net, deep)
    handle.remove()
    assert torch.equal(picture(net, deep), wanted)
