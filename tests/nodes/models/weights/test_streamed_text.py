"""Texts read the same bit for bit wherever the weights of their encoders wait. For every family and every plan."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from graph_runtime.context import Footprint, Plan
from graph_runtime.plans import plans
from nodes.models.family import FAMILIES, family_named
from nodes.models.layers.blocks import blocks_of
from nodes.models.layers.bnb import installed
from nodes.models.layers.lowrank import LowRank, attached
from nodes.models.load import load_text_encoder, parts_of_text_encoder, place_text_encoder
from nodes.models.weights import portions
from nodes.models.weights.part import Part
from nodes.models.weights.place import nbytes
from nodes.models.weights.storage import linears

from .. import deep_texts

LAYERS = 7
TEXTS = ["a big red circle on the left and a blue square", "a ring"]


@pytest.fixture(scope="module", params=[family.name for family in FAMILIES])
def family(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def parts(family: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Part]:
    folder = deep_texts.written(family, tmp_path_factory.mktemp(family) / family, LAYERS)
    return deep_texts.encoders(family, folder)


@pytest.fixture(autouse=True)
def short_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a tiny table of words is larger than what is looked up at once."""
    monkeypatch.setattr(portions, "ROWS", 64)


def each_plan(footprint: Footprint) -> list[Plan]:
    every = [*plans(footprint, one_memory=False), *plans(footprint, one_memory=True)]
    return list(dict.fromkeys(plan for plan in every if len(plan.away) in (0, 4, len(footprint.blocks))))


def read(net: Any, family: str, length: int = 40) -> dict[str, Tensor]:
    chosen = {"layers": (2, 3, 5)} if family == "flux2" else {}
    with torch.no_grad():
        tensors: dict[str, Tensor] = net(TEXTS, None, length, **chosen).tensors
    assert all(tensor.isfinite().all() for tensor in tensors.values())
    return tensors


def alike(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


KEPT = [("unpacked", torch.float32), ("unpacked", torch.float16), ("int8", torch.bfloat16)]
KEPT += [("bnb-int8", torch.float32), ("bnb-nf4", torch.float32)] if installed() else []


@pytest.mark.parametrize(("storage", "dtype"), KEPT)
def test_a_text_is_the_same_bit_for_bit_under_every_plan(
    family: str, parts: dict[str, Part], storage: str, dtype: torch.dtype
) -> None:
    of_family, reach = family_named(family), 0 if family != "flux2" else 5
    footprint = parts_of_text_encoder(of_family, parts, dtype, reach, storage)
    wanted = read(load_text_encoder(of_family, parts, dtype, "cpu", reach, storage), family)
    seen = set()
    for plan in each_plan(footprint):
        placed = place_text_encoder(of_family, parts, dtype, "cpu", reach, storage, plan)
        assert placed.nbytes <= plan.device
        assert plan.name == "resident" or placed.nbytes < footprint.total
        for _ in range(2):
            assert alike(read(placed.value, family), wanted), plan
        assert placed.nbytes <= plan.device
        placed.move("cpu")
        assert alike(read(placed.value, family), wanted), "and once more when it has been moved"
        placed.close()
        seen.add((plan.name, plan.early))
    table = family in ("lumina", "flux2")  # the tables that are large enough to stay away
    lean = {("lean", "host"), ("lean", "disk")} if table else set()
    assert seen == {("resident", "device"), ("prefetch", "host"), ("disk", "disk"), *lean}


def test_one_block_at_a_time_takes_less_than_half(family: str, parts: dict[str, Part]) -> None:
    reach = -1 if family == "flux2" else 0
    footprint = parts_of_text_encoder(family_named(family), parts, torch.float32, reach)
    assert len(footprint.blocks) == (LAYERS - 1 if family == "lumina" else LAYERS), "Gemma's last is not read"
    exact = nbytes(load_text_encoder(family_named(family), parts, torch.float32, reach=reach))
    assert exact <= footprint.total < 1.05 * exact, "what has two names is there once"
    plan = list(plans(footprint, one_memory=True))[-1]
    ring = 3 * max(footprint.blocks)
    assert plan.device == footprint.always + footprint.leaf + ring < 0.75 * footprint.total
    assert footprint.early == 0 or footprint.leaf < footprint.early / 4


def test_blocks_that_are_away_are_on_meta_until_they_are_called(family: str, parts: dict[str, Part]) -> None:
    of_family = family_named(family)
    footprint = parts_of_text_encoder(of_family, parts, torch.float32)
    plan = list(plans(footprint, one_memory=True))[-1]
    net = place_text_encoder(of_family, parts, torch.float32, "cpu", 0, "unpacked", plan).value
    assert net is not None
    (blocks,) = blocks_of(net)
    assert all(p.is_meta for block in blocks.children() for p in block.parameters())
    assert not any(p.is_meta for name, p in net.named_parameters() if not any(k in name for k in ("layers.", "block.")))
    tables = [one for one in net.modules() if isinstance(one, nn.Embedding) and one.weight.numel() == 0]
    assert len(tables) == len(net.before_loop() if hasattr(net, "before_loop") else ())  # type: ignore[operator]
    for table in tables:
        with pytest.raises(IndexError):
            table(torch.tensor([table.num_embeddings]))


def test_a_lora_stands_beside_layers_that_come_and_go(family: str, parts: dict[str, Part]) -> None:
    of_family = family_named(family)
    footprint = parts_of_text_encoder(of_family, parts, torch.float32)

    def changed(plan: Plan) -> dict[str, Tensor]:
        placed = place_text_encoder(of_family, parts, torch.float32, "cpu", 0, "unpacked", plan)
        assert placed.value is not None
        changes, draw = LowRank(), torch.Generator().manual_seed(3)
        for name, linear in list(linears(placed.value))[::3]:
            down = torch.randn(2, linear.in_features, generator=draw) * 0.1
            changes.add(name, 0, down, torch.randn(linear.out_features, 2, generator=draw) * 0.1)
        with attached(placed.value, changes, 0.7):
            return read(placed.value, family)

    every = each_plan(footprint)
    texts = [changed(plan) for plan in every]
    assert len(texts) > 3 and all(alike(one, texts[0]) for one in texts)
    plain = place_text_encoder(of_family, parts, torch.float32, "cpu", 0, "unpacked", every[0]).value
    assert not alike(read(plain, family), texts[0])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU here")
def test_on_a_gpu_a_text_is_the_same_under_every_plan(family: str, parts: dict[str, Part]) -> None:
    of_family = family_named(family)
    texts = []
    for plan in each_plan(parts_of_text_encoder(of_family, parts, torch.float32)):
        placed = place_text_encoder(of_family, parts, torch.float32, "cuda:0", 0, "unpacked", plan)
        texts.append({name: tensor.cpu() for name, tensor in read(placed.value, family).items()})
        assert alike(texts[-1], texts[0]), plan
        placed.close()
    assert len(texts) > 3
