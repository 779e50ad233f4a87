"""The node that puts a LoRA on a model."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, NamedTuple, TypeVar

from graph_runtime.context import Context
from graph_runtime.node import Knob, node
from nodes.adapted import Lora
from nodes.models.weights.tensor import shown
from nodes.recipes import Applied, Model, TextEncoder
from nodes.sockets import refused

Strength = Annotated[float, Knob(min=-10, max=10, step=0.05)]
LISTED = 3
R = TypeVar("R", Model, TextEncoder, None)


class WithLora(NamedTuple):
    model: Model
    text_encoder: TextEncoder | None


@node("core/apply_lora", title="Apply LoRA", category="loaders")
def apply_lora(
    model: Model,
    text_encoder: TextEncoder | None = None,
    *,
    ctx: Context,
    file: Annotated[str, Knob(file="lora")] = "",
    strength: Strength = 1.0,
    text_strength: Strength = 1.0,
    partly: bool = False,
) -> WithLora:
    """What was learned in a LoRA, added to a model. Several can follow each other.

    model: that it was made for, quantized or not
    text_encoder: of that model; only some LoRAs change it too
    file: a .safetensors file, in the names of diffusers, of the original model or of kohya's trainer
    strength: 1 is as it was trained, 0 not at all, less than 0 the opposite
    text_strength: the same for the text encoders
    partly: apply what fits when some of it is for matrices that this model has not, as dev's guidance on schnell
    """
    if not file:
        raise refused("no-file", "Apply LoRA", "no file is chosen.", "Choose one.")
    path = ctx.find("lora", file)
    on_model = Lora.of(path, model)
    on_text = Lora.of(path, text_encoder) if text_encoder else None
    if not on_model.count and not (on_text and on_text.count):
        what = f"it changes nothing in {model.title}, a {model.family} model."
        raise refused("other-lora", file, what, "Choose a LoRA that was made for this model.")
    changed = f"{on_model.count} matrices of the model"
    if on_text:
        changed += f" and {on_text.count} of the text encoders"
    left = (*on_model.left, *(on_text.left if on_text else ()))
    if left:
        some = ", ".join(map(shown, left[:LISTED])) + (f" and {len(left) - LISTED} more" if len(left) > LISTED else "")
        if not partly:
            what = f"{model.title}, a {model.family} model, has nothing of the names {some}."
            raise refused("left-over-lora", file, what, "Choose a LoRA for this model, or apply it partly.")
        ctx.log(f"{file} has no effect on what {model.title} does not have: {some}.")
    ctx.log(f"{file} changes {changed}.")
    return WithLora(_on(model, on_model, strength), _on(text_encoder, on_text, text_strength))


def _on(recipe: R, lora: Lora | None, strength: float) -> R:
    """The same recipe with one LoRA more, unless that changes nothing."""
    if recipe is None or lora is None or not lora.count or not strength:
        return recipe
    return replace(recipe, loras=(*recipe.loras, Applied(lora, strength)))
