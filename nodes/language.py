"""Nodes for text encoders that are language models: which of their layers are read, and prompts in their own words."""

from __future__ import annotations

from typing import Annotated

import torch
from PIL import Image as Pillow
from torch import Tensor

from graph_runtime.context import Context
from graph_runtime.node import Knob, node
from nodes.adapted import in_use
from nodes.models.encoders import pixtral
from nodes.models.encoders.language_keys import check_layers
from nodes.pictures import as_picture, as_pixels
from nodes.recipes import TextEncoder
from nodes.reference import scaled_down
from nodes.sockets import Conditioning, Image, refused
from nodes.text import Length, Prompt, reading

LANGUAGE = "language"
SEEN = 768 * 768
"""Pixels of the pictures that a prompt is rewritten for, all beside each other: more would tell no more."""
Seed = Annotated[int, Knob(min=0, max=2**53, seed=True)]


@node("core/encode_text_mistral", title="Encode text (language model)", category="text", outlook=reading)
def encode_text_mistral(
    text_encoder: TextEncoder,
    ctx: Context,
    *,
    prompt: Prompt = "",
    layers: tuple[float, ...] = (),
    max_length: Length = 0,
    guidance: Annotated[float, Knob(min=-1, max=100, step=0.1, auto=-1)] = -1.0,
) -> Conditioning:
    """What a picture is to show, as inner layers of a language model understood it.

    text_encoder: a language model, such as Flux.2's Mistral or Qwen3; layers above the last one read are not loaded
    prompt: what is to be seen
    layers: numbers of the three layers that are read, lowest first; 0 is the words themselves; empty is what the model
        was made for, 10, 20, 30 for dev and 9, 18, 27 for klein
    max_length: tokens the text is cut or filled up to, the filling being read too; 0 takes what the model was made for
    guidance: distilled guidance for this text alone; -1 leaves it to the sampler
    """
    _check_language(text_encoder, "Encode text (language model)")
    chosen = tuple(int(layer) for layer in layers)
    if chosen:
        check_layers(text_encoder.parts()[LANGUAGE], chosen)
        text_encoder = text_encoder.reaching(max(1, *chosen))
    with in_use(ctx, text_encoder) as encoder:
        ctx.check()
        tensors, notes = encoder([prompt], None, max_length or text_encoder.text_length, layers=chosen)
    for note in notes:
        ctx.log(note)
    if guidance >= 0:
        tensors = {**tensors, "guidance": torch.full((1,), guidance)}
    return Conditioning(text_encoder.family, tensors, prompt[:200])


@node("core/rewrite_prompt", title="Rewrite prompt", category="text", purity="seeded")
def rewrite_prompt(
    text_encoder: TextEncoder,
    ctx: Context,
    images: list[Image] | None = None,
    *,
    prompt: Prompt = "",
    temperature: Annotated[float, Knob(min=0, max=2, step=0.05)] = 0.15,
    seed: Seed = 0,
    max_tokens: Annotated[int, Knob(min=1, max=2048, advanced=True)] = 512,
) -> str:
    """The prompt in more detail, in the words of the model's own text encoder ("caption upsampling").

    text_encoder: a language model that can write; the whole of it is loaded, which takes more memory than reading
    images: that the prompt is about, if it asks for a change; they are looked at side by side
    prompt: in a few words
    temperature: how freely it is written; 0 takes the likeliest word always
    seed: the same seed and settings give the same words
    max_tokens: of the answer at most
    """
    _check_language(text_encoder, "Rewrite prompt")
    part = text_encoder.parts()[LANGUAGE]
    if part.config["type"] != "mistral":
        what = f"{part.variant} was not taught to rewrite prompts for {text_encoder.family}."
        raise refused("not-supported", "Rewrite prompt", what, "Use the text encoder of Flux.2 dev.")
    pictures = [pixels for image in images or () for pixels in image.pixels]
    with in_use(ctx, text_encoder.reaching(-1)) as encoder:
        ctx.check()

        def heard(count: int, most: int) -> None:
            ctx.check()
            ctx.progress(count, most)

        vision = encoder.language.vision
        if pictures and vision is None:
            what = "this text encoder's file has no part that sees pictures."
            raise refused("no-eye", "Rewrite prompt.images", what, "Use that of the diffusers folder, or no pictures.")
        seen = [seen_picture(pictures, vision)] if pictures else []
        written: str = encoder.rewritten(prompt, seen, temperature, seed, max_tokens, heard)
    return written


def seen_picture(pictures: list[Tensor], vision: pixtral.Config) -> Tensor:
    """Pictures (H, W, 3) side by side on white, as the language model's eye takes them: (1, 3, H', W').

    Put together and scaled as black-forest-labs/flux2 does it, then as Pixtral's image processor does.
    """
    made = [as_picture(one) for one in pictures]
    sheet = made[0]
    if len(made) > 1:
        high = max(one.height for one in made)
        sheet = Pillow.new("RGB", (sum(one.width for one in made), high), (255, 255, 255))
        left = 0
        for one in made:
            sheet.paste(one, (left, (high - one.height) // 2))
            left += one.width
    sheet = as_picture(scaled_down(Image(as_pixels(sheet)), SEEN).pixels[0])
    rows, columns = vision.grid(sheet.height, sheet.width)
    sheet = sheet.resize((columns * vision.cell, rows * vision.cell), Pillow.Resampling.BICUBIC)
    return pixtral.normalised(as_pixels(sheet)[0])


def _check_language(text_encoder: TextEncoder, place: str) -> None:
    """Raise Refused when a text encoder is none that is a language model."""
    if LANGUAGE not in dict(text_encoder.encoders):
        what = f"{text_encoder.title} reads for {text_encoder.family} with no language model that this node knows."
        raise refused("not-supported", place, what, "Use Encode text, or the text encoder of Flux.2.")
