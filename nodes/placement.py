"""Nodes that say where a model computes."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from graph_runtime.node import Knob, node
from nodes.recipes import BALANCED, Model, TextEncoder, Vae

AUTO = "auto"


GPUS = tuple(f"cuda:{number}" for number in range(8))
"""Which of them are there is not asked when a workflow is read: one made elsewhere stays as it is, and says so when it
is run."""

Device = Annotated[str, Knob(choices=lambda: (AUTO, "cpu", *GPUS))]


@node("core/place_model", title="Place model", category="loaders")
def place_model(
    model: Model, *, device: Annotated[str, Knob(choices=lambda: (AUTO, "cpu", *GPUS, BALANCED))] = AUTO
) -> Model:
    """Where a model paints.

    model: that paints
    device: auto is where the worker computes; balanced shares its blocks out to all GPUs by their memory, and
        where they have no room for it together, blocks come and go on one of them
    """
    return replace(model, placed_on=device)


@node("core/place_text_encoder", title="Place text encoder", category="loaders")
def place_text_encoder(text_encoder: TextEncoder, *, device: Device = AUTO) -> TextEncoder:
    """Where texts are read.

    text_encoder: that reads prompts
    device: auto is where the worker computes; cpu leaves the GPU to the model
    """
    return replace(text_encoder, placed_on=device)


@node("core/place_vae", title="Place VAE", category="loaders")
def place_vae(vae: Vae, *, device: Device = AUTO) -> Vae:
    """Where latents become pictures.

    vae: between pictures and latents
    device: auto is where the worker computes
    """
    return replace(vae, placed_on=device)
