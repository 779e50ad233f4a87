"""Nodes that write latents to files and read them, ComfyUI's among them."""

from __future__ import annotations

from typing import Annotated, Literal

import torch

from graph_runtime.context import Context
from graph_runtime.node import Knob, node
from nodes.models.family import FAMILIES, family_named
from nodes.recipes import latent_format, space_of
from nodes.sockets import Latent, SavedFiles, refused
from nodes.tensor_file import read_tensors, write_tensors

FORMAT = "latentloom.latent.1"
COMFY, COMFY_VERSION = "latent_tensor", "latent_format_version_0"


@node("core/save_latent", title="Save latent", category="latent", output=True)
def save_latent(
    latent: Latent, ctx: Context, *, name: str = "latent", format: Literal["latentloom", "comfyui"] = "latentloom"
) -> SavedFiles:
    """Write a latent into the output folder.

    name: of the file; a number is added to it
    format: latentloom keeps everything; comfyui is what ComfyUI's LoadLatent reads, without the mask
    """
    if format == "latentloom":
        tensors = {"samples": latent.samples} | ({} if latent.mask is None else {"mask": latent.mask})
        facts = {"format": FORMAT, "family": latent.family}
    else:
        known = space_of(latent.samples.shape[1])
        space = latent_format(family_named(latent.family)) if latent.family else known[1] if known else None
        if space is None:
            what = f"nobody said which family's these {latent.samples.shape[1]} channels are."
            raise refused("other-family", "Save latent", what, "Save it as latentloom.")
        tensors = {COMFY: latent.samples / space.scale + space.shift, COMFY_VERSION: torch.tensor([])}
        facts = {}
    suffix = ".safetensors" if format == "latentloom" else ".latent"
    path = ctx.save(name, suffix, lambda stream: write_tensors(stream, tensors, facts))
    return SavedFiles((str(path),), media="latent")


@node("core/load_latent", title="Load latent", category="latent")
def load_latent(ctx: Context, *, file: Annotated[str, Knob(file="latent")] = "") -> Latent:
    """A latent from a file of Save latent, or of ComfyUI's.

    file: .safetensors, or ComfyUI's .latent; the family of the latter is told from its number of channels
    """
    if not file:
        raise refused("no-file", "Load latent.file", "no file is chosen.", "Choose one.")
    tensors, facts = read_tensors(ctx.find("latent", file), file)
    if facts.get("format") == FORMAT and "samples" in tensors:
        return Latent(tensors["samples"], facts.get("family", ""), tensors.get("mask"))
    samples = tensors.get(COMFY)
    if samples is None or samples.ndim != 4:
        raise refused(
            "bad-file", file, "it holds no latent.", "Choose a file of Save latent, or of ComfyUI's SaveLatent."
        )
    found = space_of(samples.shape[1])
    if found is None:
        known = ", ".join(f"{one.name} {latent_format(one).channels}" for one in FAMILIES)
        what = f"a latent of {samples.shape[1]} channels is of no known family ({known})."
        raise refused("other-family", file, what, "Decode it where it was made, and load the picture.")
    family, space = found
    unscaled = samples.float() * (1.0 if COMFY_VERSION in tensors else 1 / 0.18215)
    return Latent((unscaled - space.shift) * space.scale, family)
