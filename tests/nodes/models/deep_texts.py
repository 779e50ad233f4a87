"""The starters' text encoders made deeper: their own files, with more layers of other numbers."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from nodes.models.family import family_named, find
from nodes.models.starter.score import HERE
from nodes.models.weights.part import Part

LAYER = re.compile(r"\b(layers|block)\.(\d+)\.")


def written(name: str, folder: Path, layers: int = 7) -> Path:
    """A pipeline folder like a family's starter, its largest text encoder of so many layers."""
    shutil.copytree(HERE / name, folder)
    encoder = max(folder.glob("text_encoder*"), key=lambda one: (one / "model.safetensors").stat().st_size)
    file, said = encoder / "model.safetensors", encoder / "config.json"
    save_file(_deeper(load_file(file), layers), file, {"format": "pt"})
    config = json.loads(said.read_text())
    counts = {key: layers for key in config if key in ("num_layers", "num_hidden_layers")}
    said.write_text(json.dumps(config | counts))
    return folder


def encoders(name: str, folder: Path) -> dict[str, Part]:
    """The text encoders of a folder by kind, as its family reads with them."""
    parts = find(folder).parts
    return {kind: parts[kind] for kind in family_named(name).defaults.ENCODERS if kind in parts}


def _deeper(state: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
    found = {int(at[2]) for name in state if (at := LAYER.search(name))}
    draw = torch.Generator().manual_seed(0)
    made = {name: tensor for name, tensor in state.items() if not LAYER.search(name)}
    for number in range(layers):
        like = 0 if number == 0 else 1 + (number - 1) % max(found)  # the first of T5's has a table that others have not
        for name, tensor in state.items():
            at = LAYER.search(name)
            if at and int(at[2]) == like:
                noise = torch.randn(tensor.shape, generator=draw) * tensor.float().std().nan_to_num() * 0.1
                made[LAYER.sub(rf"\1.{number}.", name)] = (tensor.float() + noise).to(tensor.dtype)
    return made
