"""Nodes that turn prompts into conditioning. What a prompt becomes is the family's: `nodes.models.<family>.text`."""

from __future__ import annotations

from typing import Annotated

import torch

from graph_runtime.context import Context, Outlook
from graph_runtime.node import Knob, node
from nodes.adapted import in_use
from nodes.models.family import family_named
from nodes.recipes import TextEncoder
from nodes.sockets import Conditioning, blank, refused

Prompt = Annotated[str, Knob(multiline=True)]
Length = Annotated[int, Knob(min=0, max=4096, advanced=True, auto=0)]


def reading(text_encoder: TextEncoder, max_length: int, **others: object) -> Outlook:
    """A conditioning as long as the text may be."""
    length = max_length or text_encoder.text_length
    return Outlook(gives={"conditioning": Conditioning(text_encoder.family, {"text": blank(1, length, 1)})})


@node("core/encode_text", title="Encode text", category="text", outlook=reading)
def encode_text(
    text_encoder: TextEncoder,
    ctx: Context,
    *,
    prompt: Prompt = "",
    second_prompt: Annotated[str, Knob(multiline=True, advanced=True)] = "",
    max_length: Length = 0,
    negative: Annotated[bool, Knob(advanced=True)] = False,
) -> Conditioning:
    """What a picture is to show, in the words of the model's own text encoders.

    text_encoder: of the model that will paint
    prompt: what is to be seen; or, for a negative, what is not
    second_prompt: for the second encoder, where a family has two; empty is the same prompt
    max_length: tokens the text is cut or filled up to; 0 takes what the model was made for
    negative: it is a negative, which Lumina-Next reads with its capitals and a prompt without; others read both alike
    """
    how = getattr(family_named(text_encoder.family).defaults, "NEGATIVE", {}) if negative else {}
    return _encoded(text_encoder, ctx, prompt, second_prompt or None, max_length, **how)


@node("core/encode_text_t5", title="Encode text (CLIP and T5)", category="text", outlook=reading)
def encode_text_t5(
    text_encoder: TextEncoder,
    ctx: Context,
    *,
    clip_prompt: Prompt = "",
    t5_prompt: Prompt = "",
    max_length: Length = 0,
    guidance: Annotated[float, Knob(min=-1, max=100, step=0.1, auto=-1)] = -1.0,
) -> Conditioning:
    """What a picture is to show, said to CLIP and to T5 apart. CLIP's words set the whole, T5's the details.

    text_encoder: of a model that has both, such as Flux.1
    clip_prompt: up to 77 tokens
    t5_prompt: sentences; up to max_length tokens
    max_length: tokens T5's text is cut or filled up to, the filling being read too; 0 takes what the model was made for
    guidance: distilled guidance for this text alone; -1 leaves it to the sampler
    """
    encoded = _encoded(text_encoder, ctx, clip_prompt, t5_prompt, max_length)
    if guidance < 0:
        return encoded
    return Conditioning(encoded.family, {**encoded.tensors, "guidance": torch.full((1,), guidance)}, encoded.note)


@node("core/encode_text_gemma", title="Encode text (Gemma)", category="text", outlook=reading)
def encode_text_gemma(
    text_encoder: TextEncoder,
    ctx: Context,
    *,
    prompt: Prompt = "",
    clean: bool = False,
    lower: bool = True,
    max_length: Length = 0,
) -> Conditioning:
    """What a picture is to show, said to Gemma, with what is done to the words before.

    text_encoder: of a model that reads with Gemma, such as Lumina-Next
    prompt: what is to be seen; or, for a negative, what is not
    clean: delete what captions from the web contain: addresses, numbers, markup, and all Chinese characters
    lower: in small letters, as the model was shown its texts; a negative is read as it is, where results must match
    max_length: tokens the text is cut to; 0 takes what the model was made for
    """
    if "gemma" not in dict(text_encoder.encoders):
        what = f"{text_encoder.title} reads for {text_encoder.family}, without Gemma."
        raise refused("other-encoder", "Encode text (Gemma)", what, "Use Encode text, which every model has.")
    return _encoded(text_encoder, ctx, prompt, None, max_length, clean=clean, lower=lower)


def _encoded(
    text_encoder: TextEncoder, ctx: Context, first: str, second: str | None, length: int, **how: bool
) -> Conditioning:
    length = length or text_encoder.text_length
    with in_use(ctx, text_encoder) as encoder:
        ctx.check()
        tensors, notes = encoder([first], None if second is None else [second], length, **how)
    for note in notes:
        ctx.log(note)
    return Conditioning(text_encoder.family, tensors, first[:200] or second or "")
