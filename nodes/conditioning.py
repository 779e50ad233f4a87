"""Nodes that store and combine conditionings."""

from __future__ import annotations

import json
from typing import Annotated

import torch

from graph_runtime.context import Context
from graph_runtime.node import Knob, node
from nodes.models.sampling.conditions import joined, padded
from nodes.sockets import Conditioning, SavedFiles, refused
from nodes.tensor_file import read_tensors, write_tensors

FORMAT = "latentloom.conditioning.1"


@node("core/save_conditioning", title="Save conditioning", category="text", output=True)
def save_conditioning(conditioning: Conditioning, ctx: Context, *, name: str = "conditioning") -> SavedFiles:
    """Write an encoded text into the output folder, to be used without its text encoders.

    name: of the file; a number is added to it
    """
    facts = {"format": FORMAT, "family": conditioning.family, "note": conditioning.note}
    path = ctx.save(name, ".safetensors", lambda stream: write_tensors(stream, conditioning.tensors, facts))
    return SavedFiles((str(path),), media="conditioning")


@node("core/load_conditioning", title="Load conditioning", category="text")
def load_conditioning(ctx: Context, *, file: Annotated[str, Knob(file="conditioning")] = "") -> Conditioning:
    """An encoded text from a file that Save conditioning wrote.

    file: a .safetensors file
    """
    if not file:
        raise refused("no-file", "Load conditioning.file", "no file is chosen.", "Choose one.")
    tensors, facts = read_tensors(ctx.find("conditioning", file), file)
    if facts.get("format") != FORMAT or not facts.get("family"):
        held = json.dumps(facts.get("format", "")) if facts.get("format") else "other tensors"
        raise refused("bad-file", file, f"it holds {held}, not an encoded text.", "Choose a file of Save conditioning.")
    return Conditioning(facts["family"], tensors, facts.get("note", ""))


@node("core/mix_conditionings", title="Mix conditionings", category="text")
def mix_conditionings(
    a: Conditioning, b: Conditioning, *, amount: Annotated[float, Knob(min=0, max=1, step=0.01, slider=True)] = 0.5
) -> Conditioning:
    """Straight line from one encoded text to another.

    a: where amount is 0
    b: where amount is 1; encoded to the same length
    amount: how far along the line
    """
    _same_family(a, b, "Mix conditionings")
    first, second = a.tensors, b.tensors
    if "mask" in first and "mask" in second:  # then what is behind the shorter one is not read
        longest = max(one["mask"].shape[1] for one in (first, second))
        first, second = padded(first, longest), padded(second, longest)
    shapes = [{name: tuple(tensor.shape[1:]) for name, tensor in one.items()} for one in (first, second)]
    if shapes[0] != shapes[1]:
        what = f"the texts have other shapes: {shapes[0]} and {shapes[1]}."
        raise refused("wrong-shape", "Mix conditionings", what, "Encode both with the same max_length.")
    mixed = {name: torch.lerp(tensor.float(), second[name].float(), amount) for name, tensor in first.items()}
    if "mask" in mixed:
        mixed["mask"] = torch.maximum(first["mask"], second["mask"])
    return Conditioning(a.family, mixed, f"{a.note} | {b.note}")


@node("core/batch_conditionings", title="Batch conditionings", category="text")
def batch_conditionings(conditionings: list[Conditioning]) -> Conditioning:
    """Several encoded texts as one batch: each for its own pictures of a batch of latents.

    conditionings: encoded by the same model's text encoders, to the same length
    """
    first = conditionings[0]
    for one in conditionings[1:]:
        _same_family(first, one, "Batch conditionings")
    tensors = joined([one.tensors for one in conditionings])
    if tensors is None:
        what = f"the texts have other shapes: {'; '.join(one.summary() for one in conditionings[:4])}."
        raise refused("wrong-shape", "Batch conditionings", what, "Encode all with the same max_length.")
    return Conditioning(first.family, tensors, " | ".join(one.note for one in conditionings)[:400])


def _same_family(a: Conditioning, b: Conditioning, place: str) -> None:
    if a.family != b.family:
        what = f"one text was encoded for {a.family}, the other for {b.family}."
        raise refused("other-family", place, what, "Encode both with the text encoder of the same model.")
