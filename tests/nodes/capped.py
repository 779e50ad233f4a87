"""A program: a family's picture, or what a text encoder makes of a text, under every plan, with the memory of this
process capped to what the plan says.

Prints one JSON object: for each plan the cap and a hash of the picture. A process is for one family, since what another
has let go stays with the allocator and would be used before the cap is reached. glibc is told (by the environment,
see the test) to give large memory back at once, so that what is counted is what is held.
"""

from __future__ import annotations

import gc
import hashlib
import json
import resource
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from graph_runtime.context import Footprint, Plan
from graph_runtime.plans import plans
from graph_runtime.residency import Residency, is_out_of_memory
from nodes.models.encoders import gemma
from nodes.models.family import Found, detect, family_named, find
from nodes.models.load import parts_of_text_encoder, parts_of_transformer, place_text_encoder, place_transformer
from nodes.models.starter.score import HERE

SLACK = 8 << 20  # bytes: activations, what is read in pieces, Python itself
FLOAT = torch.float32
SIZES: dict[str, tuple[dict[str, Any], dict[str, object]]] = {
    "flux1": (
        {"width": 256, "heads": 2, "axes": (16, 56, 56), "double_blocks": 3, "single_blocks": 5},
        {"axes_dims_rope": [16, 56, 56]},
    ),
    "auraflow": ({"width": 256, "double_blocks": 3, "single_blocks": 4}, {"num_attention_heads": 4}),
    "lumina": ({"width": 512, "layers": 5, "mlp": 1024, "condition": 256}, {"sample_size": 16}),
    "flux2": (
        {"width": 384, "heads": 3, "axes": (32, 32, 32, 32), "mlp": 1152, "double_blocks": 2, "single_blocks": 7},
        {},
    ),
}


def held() -> int:
    """Bytes of private memory that this process may write to: what RLIMIT_DATA counts."""
    gc.collect()
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData"))
    return int(line.split()[1]) * 1024


def cap(nbytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (nbytes, resource.RLIM_INFINITY))


def uncap() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def checkpoint(folder: Path, name: str) -> Found:
    """A file of random weights, written block by block of memory that is let go again."""
    changes, beside = SIZES[name]
    config = import_module(f"nodes.models.{name}.config").Config.tiny(**changes)
    with torch.device("meta"):
        net = import_module(f"nodes.models.{name}.transformer").Transformer(config)
    draw = torch.Generator().manual_seed(0)
    state = {
        key: torch.randn(t.shape, generator=draw) * (0.05 if t.ndim > 1 else 0.5) for key, t in net.state_dict().items()
    }
    save_file(state, folder / f"{name}.safetensors", {"config": json.dumps(beside)})
    return detect(folder / f"{name}.safetensors")


def picture(net: Any, found: Found) -> str:
    config = found.config
    told = {"text": torch.randn(1, 5, config.text_width, generator=torch.Generator().manual_seed(1))}
    if hasattr(config, "pooled_width"):
        told["pooled"] = torch.randn(1, config.pooled_width, generator=torch.Generator().manual_seed(2))
    x = torch.randn(1, config.latent_channels, 8, 8, generator=torch.Generator().manual_seed(3))
    assert found.family is not None
    velocity = found.family.transformer.velocity(net, told, x.shape, [1.0, 0.5])
    for sigma in (1.0, 0.5):
        x = x - 0.5 * velocity(x, sigma)
    assert x.isfinite().all()
    return hashlib.sha256(x.numpy().tobytes()).hexdigest()


@dataclass(frozen=True)
class Subject:
    """What is loaded: its parts, how it is brought into memory as a plan says, and a hash of what it makes."""

    parts: Footprint
    place: Callable[[Plan], Any]
    made: Callable[[Any], str]


def painter(folder: Path, name: str) -> Subject:
    found = checkpoint(folder, name)
    return Subject(
        parts_of_transformer(found, FLOAT),
        lambda plan: place_transformer(found, FLOAT, "cpu", "unpacked", plan),
        lambda net: picture(net, found),
    )


GEMMA = {
    "vocab_size": 30000, "hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 7,
    "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 128,
}  # fmt: skip


def reader(folder: Path) -> Subject:
    """Lumina's text encoder with random weights, most of it in layers and a table of words."""
    net = gemma.build(GEMMA)
    draw = torch.Generator().manual_seed(0)
    state = {key: torch.randn(t.shape, generator=draw) * 0.05 for key, t in net.state_dict().items()}
    state["layers.7.input_layernorm.weight"] = torch.ones(512)  # of the last layer, which is not read
    save_file({f"model.{key}": t for key, t in state.items()}, folder / "gemma.safetensors")
    part = find(folder / "gemma.safetensors", {"model_type": "gemma", "head_dim": 128}).parts["gemma"]
    parts, lumina = {"gemma": replace(part, tokenizer=HERE / "lumina" / "tokenizer")}, family_named("lumina")

    def read(net: Any) -> str:
        with torch.no_grad():
            text = net(["a big red circle on the left"], None, 32).tensors["text"]
        assert text.isfinite().all()
        return hashlib.sha256(text.numpy().tobytes()).hexdigest()

    return Subject(
        parts_of_text_encoder(lumina, parts, FLOAT),
        lambda plan: place_text_encoder(lumina, parts, FLOAT, "cpu", 0, "unpacked", plan),
        read,
    )


class Recipe:
    """What residency loads, counting the plans that were tried."""

    title = "capped"

    def __init__(self, subject: Subject) -> None:
        self.subject, self.parts = subject, subject.parts
        self.tried: list[str] = []

    def key(self) -> str:
        return "capped"

    def nbytes(self) -> int:
        return self.parts.total

    def footprint(self) -> Footprint:
        return self.parts

    def load(self, device: str, plan: Plan) -> Any:
        self.tried.append(plan.name)
        return self.subject.place(plan)


def under_every_plan(subject: Subject) -> dict[str, Any]:
    parts = subject.parts
    every = list(plans(parts, one_memory=True))
    chosen = {f"{plan.name} {len(plan.away)}": plan for plan in every if len(plan.away) in (0, 4, len(parts.blocks))}
    made: dict[str, Any] = {"total": parts.total, "pictures": {}, "caps": {}}
    for name, plan in chosen.items():
        limit = held() + plan.device + SLACK
        cap(limit)
        placed = subject.place(plan)
        made["pictures"][name] = subject.made(placed.value)
        placed.close()
        del placed
        uncap()
        made["caps"][name] = plan.device + SLACK
    lean = next(plan for plan in every if plan.name == "lean")
    cap(held() + lean.device + (parts.total - lean.device) * 6 // 10)
    try:
        subject.place(every[0])
        made["the cap held"] = False
    except (MemoryError, RuntimeError) as error:
        made["the cap held"] = is_out_of_memory(error)
    recipe, residency = Recipe(subject), Residency("cpu", 0, 1 << 40)
    with residency.use(recipe) as net:
        made["pictures"]["after memory ran out"] = subject.made(net)
    uncap()
    residency.evict()
    made["tried"] = recipe.tried
    return made


def main(folder: Path, name: str) -> None:
    torch.set_num_threads(1)
    threading.stack_size(512 << 10)
    subject = reader(folder) if name == "gemma" else painter(folder, name)
    placed = subject.place(next(plans(subject.parts, True)))
    subject.made(placed.value)  # what torch allocates once
    placed.close()
    del placed
    print(json.dumps(under_every_plan(subject)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
