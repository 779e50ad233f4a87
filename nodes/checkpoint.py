"""Nodes that say which model: from a file, a diffusers folder, or what comes with the program. Nothing is loaded here;
headers are read, and what comes out are recipes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from graph_runtime.context import Context
from graph_runtime.node import Knob, node
from nodes.models.family import FAMILIES, Family, Found, family_named, find
from nodes.models.sampling.schedule import Schedule
from nodes.models.weights.config import read_config
from nodes.recipes import Model, Stored, TextEncoder, Vae, bytes_in, dtype_for, latent_format, storage_for
from nodes.sockets import refused

STARTER = "starter/flux1"
# A file beside a model that says what it is best used with.
RECOMMENDED = "starter.json"
WATCHABLE = 64 << 20  # bytes of an autoencoder that previews may ask

Dtype = Annotated[Literal["auto", "float32", "bfloat16", "float16"], Knob(advanced=True)]
FamilyName = Annotated[str, Knob(choices=lambda: [family.name for family in FAMILIES], advanced=True)]
CheckpointFile = Annotated[str, Knob(file="checkpoint")]


class Checkpoint(NamedTuple):
    model: Model
    text_encoder: TextEncoder
    vae: Vae


@node("core/load_checkpoint", title="Load checkpoint", category="loaders")
def load_checkpoint(ctx: Context, *, file: CheckpointFile = STARTER, dtype: Dtype = "auto") -> Checkpoint:
    """A model with its text encoders and its autoencoder, from one file or one diffusers folder.

    file: a .safetensors or .gguf file with all three in it, or a diffusers folder; starter/flux1 comes with the program
    dtype: what it computes in; auto takes bfloat16 for what is large
    model: what paints
    text_encoder: what reads prompts
    vae: what turns latents into pictures
    """
    stored, found = _found(ctx, "checkpoint", file)
    missing = [name for name, kinds in PARTS.items() if not all(kind in found.parts for kind in kinds)]
    if missing:
        there = ", ".join(sorted(part.variant or part.kind for part in found.parts.values()))
        what = f"it has no {' and no '.join(missing)}, only {there}."
        fix = "Load its parts with Load model, Load text encoder and Load VAE, from the files that have them."
        raise refused("incomplete-checkpoint", file, what, fix)
    vae = _vae(ctx, stored, found, dtype)
    model = _model(ctx, stored, found, dtype, vae)
    encoder = _text_encoder(ctx, family_named(model.family), (stored, found), (stored, found), dtype)
    return Checkpoint(model, dataclasses.replace(encoder, text_length=model.defaults.text_length), vae)


PARTS = {"transformer": ("transformer",), "text encoders": ("clip", "t5"), "autoencoder": ("vae",)}


@node("core/load_model", title="Load model", category="loaders")
def load_model(ctx: Context, *, file: Annotated[str, Knob(file="model")] = "", dtype: Dtype = "auto") -> Model:
    """Only what paints: the transformer of a file or folder.

    file: a .safetensors or .gguf file, or a folder as diffusers writes it
    dtype: what it computes in; auto takes bfloat16 for what is large
    """
    stored, found = _found(ctx, "model", file)
    if "transformer" not in found.parts:
        held = " and ".join(sorted(part.variant or part.kind for part in found.parts.values()))
        what = f"it holds no transformer, only {held}."
        raise refused("no-transformer", file, what, "Load it with Load text encoder or Load VAE.")
    return _model(ctx, stored, found, dtype, None)


@node("core/load_text_encoder", title="Load text encoder", category="loaders")
def load_text_encoder(
    ctx: Context,
    *,
    clip: Annotated[str, Knob(file="text_encoder")] = "",
    t5: Annotated[str, Knob(file="text_encoder")] = "",
    tokenizers: Annotated[str, Knob(file="text_encoder", advanced=True)] = "",
    family: FamilyName = FAMILIES[0].name,
    dtype: Dtype = "auto",
) -> TextEncoder:
    """Only what reads prompts: CLIP and T5, from one file or two.

    clip: the file or folder with CLIP-L
    t5: the file or folder with T5; left empty, the same as clip
    tokenizers: a folder with `tokenizer` and `tokenizer_2`, for files that come without theirs
    family: of the model that they read for
    dtype: what they compute in; auto takes bfloat16 for what is large
    """
    clip_at, t5_at = _found(ctx, "text_encoder", clip), _found(ctx, "text_encoder", t5 or clip)
    for kind, name, (_, found) in (("clip", clip, clip_at), ("t5", t5 or clip, t5_at)):
        if kind not in found.parts:
            there = ", ".join(sorted(part.variant or part.kind for part in found.parts.values()))
            what = f"it holds no {kind.upper()}, only {there}."
            raise refused("no-text-encoder", name, what, f"Choose a file with {kind.upper()} for it.")
    folder = str(ctx.find("text_encoder", tokenizers)) if tokenizers else ""
    return _text_encoder(ctx, family_named(family), clip_at, t5_at, dtype, folder)


@node("core/load_vae", title="Load VAE", category="loaders")
def load_vae(ctx: Context, *, file: Annotated[str, Knob(file="vae")] = "", dtype: Dtype = "auto") -> Vae:
    """Only what turns latents into pictures and back.

    file: a .safetensors file, or a folder as diffusers writes it
    dtype: what it computes in
    """
    stored, found = _found(ctx, "vae", file)
    if "vae" not in found.parts:
        held = " and ".join(sorted(part.variant or part.kind for part in found.parts.values()))
        raise refused("no-vae", file, f"it holds no autoencoder, only {held}.", "Choose another file.")
    return _vae(ctx, stored, found, dtype)


def _found(ctx: Context, kind: str, name: str) -> tuple[Stored, Found]:
    if not name:
        raise refused("no-file", f"Load {kind.replace('_', ' ')}", "no file is chosen.", "Choose one.")
    path = ctx.find(kind, name)
    return Stored.at(path), find(path)


def _model(ctx: Context, stored: Stored, found: Found, dtype: str, vae: Vae | None) -> Model:
    part, family = found.parts["transformer"], found.family
    if family is None:
        raise refused("no-family", found.path.name, "no family claims its transformer.", "Choose another file.")
    if part.config.in_channels != part.config.out_channels:
        what = f"this is a {part.variant} model, which also takes a picture as input; that is not supported yet."
        raise refused("not-supported", found.path.name, what, "Choose a model that paints from text alone.")
    chosen = dtype_for(part, ctx.device, dtype)
    small = vae if vae is not None and vae.size <= WATCHABLE else None
    model = Model(
        title=found.path.stem if found.path.is_file() else found.path.name,
        family=family.name,
        variant=part.variant,
        stored=stored,
        dtype=chosen,
        size=bytes_in(part, chosen),
        config=part.config,
        defaults=recommended(found.path, family.defaults.defaults(part.config)),
        vae=small,
    )
    storage = storage_for(part, ctx.device, chosen)
    return model if storage == model.storage else model.kept_in(storage, found)


def _text_encoder(
    ctx: Context,
    family: Family,
    clip: tuple[Stored, Found],
    t5: tuple[Stored, Found],
    dtype: str,
    tokenizers: str = "",
) -> TextEncoder:
    clip_part, t5_part, path = clip[1].parts["clip"], t5[1].parts["t5"], t5[1].path
    chosen = dtype_for(t5_part, ctx.device, dtype)
    return TextEncoder(
        title=path.stem if path.is_file() else path.name,
        family=family.name,
        clip=clip[0],
        t5=t5[0],
        dtype=chosen,
        size=bytes_in(clip_part, chosen) + bytes_in(t5_part, chosen),
        tokenizers=tokenizers,
    )


def _vae(ctx: Context, stored: Stored, found: Found, dtype: str) -> Vae:
    part = found.parts["vae"]
    chosen = dtype_for(part, ctx.device, dtype)
    channels = part.config["latent"]
    family = found.family or next((one for one in FAMILIES if latent_format(one).channels == channels), None)
    return Vae(
        title=found.path.stem if found.path.is_file() else found.path.name,
        family=family.name if family else "",
        stored=stored,
        dtype=chosen,
        size=bytes_in(part, chosen),
        channels=channels,
        factor=2 ** (len(part.config["widths"]) - 1),
    )


def recommended(path: Path, usual: Any) -> Any:
    """The family's defaults, changed by what lies beside the weights: a scheduler's config, and recommendations."""
    if not path.is_dir():
        return usual
    changes: dict[str, Any] = {}
    scheduler, said = path / "scheduler" / "scheduler_config.json", path / RECOMMENDED
    if scheduler.is_file():
        changes["schedule"] = Schedule.from_config(read_config(scheduler))
    if said.is_file():
        config = read_config(said)
        names = {"steps": "steps", "true_cfg_scale": "true_cfg", "guidance_scale": "guidance", "width": "size"}
        names |= {"max_sequence_length": "text_length"}
        numbers = {ours: config[name] for name, ours in names.items() if type(config.get(name)) in (int, float)}
        changes |= {name: type(getattr(usual, name))(value) for name, value in numbers.items()}
        if type(config.get("shift")) in (int, float):
            changes["schedule"] = dataclasses.replace(usual.schedule, shift=float(config["shift"]), dynamic=False)
    return dataclasses.replace(usual, **changes)
