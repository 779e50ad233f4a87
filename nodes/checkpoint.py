"""Nodes that say which model: from a file, a diffusers folder, or what comes with the program. Nothing is loaded here;
headers are read, and what comes out are recipes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from graph_runtime.context import Context
from graph_runtime.node import Knob, node
from nodes.models.autoencoders.keys import pixels_per_cell
from nodes.models.encoders.keys import loaded
from nodes.models.family import FAMILIES, Family, Found, family_named, find
from nodes.models.sampling.schedule import Schedule
from nodes.models.weights.config import read_config
from nodes.models.weights.folder import INDEX
from nodes.recipes import Model, Stored, TextEncoder, Vae, bytes_in, dtype_for, latent_format, space_of, storage_for
from nodes.sockets import refused

STARTER = "starter/flux1"
AUTO = "auto"
# A file beside a model that says what it is best used with.
RECOMMENDED = "starter.json"
WATCHABLE = 64 << 20  # bytes of an autoencoder that previews may ask

Dtype = Annotated[Literal["auto", "float32", "bfloat16", "float16"], Knob(advanced=True)]
FamilyName = Annotated[str, Knob(choices=lambda: [AUTO, *(family.name for family in FAMILIES)])]
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
    encoders = found.family.encoders(found.config) if found.family else ()
    missing = [title for kind, title in NEEDED.items() if kind not in found.parts]
    missing += [f"{kind} text encoder" for kind in encoders if kind not in found.parts]
    if found.family is None or missing:
        what = f"it has no {' and no '.join(missing)}, only {_held(found)}."
        fix = "Load its parts with Load model, Load text encoder and Load VAE, from the files that have them."
        raise refused("incomplete-checkpoint", file, what, fix)
    vae = _vae(ctx, stored, found, dtype)
    model = _model(ctx, stored, found, dtype, vae)
    encoder = _text_encoder(ctx, found.family, dict.fromkeys(encoders, (stored, found)), dtype)
    return Checkpoint(model, dataclasses.replace(encoder, text_length=model.defaults.text_length), vae)


NEEDED = {"transformer": "transformer", "vae": "autoencoder"}


@node("core/load_model", title="Load model", category="loaders")
def load_model(ctx: Context, *, file: Annotated[str, Knob(file="model")] = "", dtype: Dtype = "auto") -> Model:
    """Only what paints: the transformer of a file or folder.

    file: a .safetensors or .gguf file, or a folder as diffusers writes it
    dtype: what it computes in; auto takes bfloat16 for what is large
    """
    stored, found = _found(ctx, "model", file)
    if "transformer" not in found.parts:
        what = f"it holds no transformer, only {_held(found)}."
        raise refused("no-transformer", file, what, "Load it with Load text encoder or Load VAE.")
    return _model(ctx, stored, found, dtype, None)


@node("core/load_text_encoder", title="Load text encoder", category="loaders")
def load_text_encoder(
    ctx: Context,
    *,
    file: Annotated[str, Knob(file="text_encoder")] = "",
    second_file: Annotated[str, Knob(file="text_encoder")] = "",
    tokenizers: Annotated[str, Knob(file="text_encoder", advanced=True)] = "",
    family: FamilyName = AUTO,
    dtype: Dtype = "auto",
) -> TextEncoder:
    """Only what reads prompts: all text encoders of a family, from one file or two.

    file: a file or folder with a text encoder
    second_file: with another, for families that have two; in either order
    tokenizers: a folder with `tokenizer` (and `tokenizer_2`), for files that come without theirs
    family: of the model that they read for; auto is the one that reads with what is in the files
    dtype: what they compute in; auto takes bfloat16 for what is large
    """
    places = [_found(ctx, "text_encoder", name) for name in dict.fromkeys((file, second_file or file))]
    given = {kind: place for place in reversed(places) for kind in place[1].parts}
    chosen = _reader(file, given) if family == AUTO else family_named(family)
    wanted = _read_with(chosen, given) or chosen.defaults.ENCODERS
    missing = [kind for kind in wanted if kind not in given]
    if missing:
        reads, held = _reads_with(chosen), " and ".join(_held(found) for _, found in places)
        what = f"{chosen.name} reads with {reads}, but there is no {' and no '.join(missing)}, only {held}."
        raise refused("no-text-encoder", file, what, "Choose a file for each of them, or another family.")
    folder = Stored.at(ctx.find("text_encoder", tokenizers)) if tokenizers else None
    return _text_encoder(ctx, chosen, {kind: given[kind] for kind in wanted}, dtype, folder)


def _reader(file: str, given: Mapping[str, Place]) -> Family:
    """The family whose text encoders these are. Refused when they are of none."""
    for family in FAMILIES:
        if _read_with(family, given):
            return family
    known = "; ".join(f"{family.name}: {_reads_with(family)}" for family in FAMILIES)
    what = f"no family reads with {' and '.join(given)} alone ({known})."
    raise refused("no-text-encoder", file, what, "Choose a file for each of its text encoders.")


def _read_with(family: Family, given: Mapping[str, Place]) -> tuple[str, ...]:
    """The kinds of text encoders a family reads with, of those that are given; () when there are too few."""
    return next((kinds for kinds in family.readings if all(kind in given for kind in kinds)), ())


def _reads_with(family: Family) -> str:
    return " or ".join(" and ".join(kinds) for kinds in family.readings)


@node("core/load_vae", title="Load VAE", category="loaders")
def load_vae(ctx: Context, *, file: Annotated[str, Knob(file="vae")] = "", dtype: Dtype = "auto") -> Vae:
    """Only what turns latents into pictures and back.

    file: a .safetensors file, or a folder as diffusers writes it
    dtype: what it computes in
    """
    stored, found = _found(ctx, "vae", file)
    if "vae" not in found.parts:
        raise refused("no-vae", file, f"it holds no autoencoder, only {_held(found)}.", "Choose another file.")
    return _vae(ctx, stored, found, dtype)


Place = tuple[Stored, Found]


def _held(found: Found) -> str:
    """What is in a file, for a sentence."""
    return " and ".join(sorted(part.variant or part.kind for part in found.parts.values()))


def _found(ctx: Context, kind: str, name: str) -> Place:
    if not name:
        raise refused("no-file", f"Load {kind.replace('_', ' ')}", "no file is chosen.", "Choose one.")
    path = ctx.find(kind, name)
    return Stored.at(path), find(path)


def _model(ctx: Context, stored: Stored, found: Found, dtype: str, vae: Vae | None) -> Model:
    part, family = found.parts["transformer"], found.family
    if family is None:
        raise refused("no-family", found.path.name, "no family claims its transformer.", "Choose another file.")
    if part.config.wants_picture:
        what = f"this is a {part.variant} model, which also takes a picture as input; that is not supported yet."
        raise refused("not-supported", found.path.name, what, "Choose a model that paints from text alone.")
    chosen = dtype_for(part, ctx.device, dtype)
    small = vae if vae is not None and vae.size <= WATCHABLE else None
    model = Model(
        title=_title(found),
        family=family.name,
        variant=part.variant,
        stored=stored,
        dtype=chosen,
        size=bytes_in(part, chosen),
        config=part.config,
        defaults=recommended(found.path, _usual(found.path, family, part.config)),
        vae=small,
    )
    storage = storage_for(part, ctx.device, chosen)
    return model if storage == model.storage else model.kept_in(storage, found)


def _text_encoder(
    ctx: Context, family: Family, places: Mapping[str, Place], dtype: str, tokenizers: Stored | None = None
) -> TextEncoder:
    """`places`: each kind of text encoder, and where it is."""
    parts = [loaded(found.parts[kind]) for kind, (_, found) in places.items()]
    largest = max(parts, key=lambda part: part.header.parameters)
    chosen = dtype_for(largest, ctx.device, dtype)
    encoder = TextEncoder(
        title=_title(next(found for kind, (_, found) in places.items() if kind == largest.kind)),
        family=family.name,
        encoders=tuple((kind, stored) for kind, (stored, _) in places.items()),
        dtype=chosen,
        size=sum(bytes_in(part, chosen) for part in parts),
        tokenizers=tokenizers,
        text_length=family.defaults.TEXT_LENGTH,
    )
    storage = storage_for(largest, ctx.device, chosen)
    return encoder if storage == encoder.storage else encoder.kept_in(storage, encoder.parts())


def _title(found: Found) -> str:
    return found.path.stem if found.path.is_file() else found.path.name


def _vae(ctx: Context, stored: Stored, found: Found, dtype: str) -> Vae:
    part = found.parts["vae"]
    chosen = dtype_for(part, ctx.device, dtype)
    channels = part.config["latent"]
    known = (found.family.name, latent_format(found.family)) if found.family else space_of(channels)
    family, space = known or ("", None)
    return Vae(
        title=_title(found),
        family=family,
        stored=stored,
        dtype=chosen,
        size=bytes_in(part, chosen),
        channels=channels,
        factor=pixels_per_cell(part.config),
        space=space,
    )


def _usual(path: Path, family: Family, config: Any) -> Any:
    """The family's defaults for a network of these sizes, as its pipeline's index tells it to be."""
    usual, index = family.defaults.defaults(config), path / INDEX
    told = getattr(family.defaults, "told", None)
    return told(usual, read_config(index)) if told and index.is_file() else usual


def recommended(path: Path, usual: Any) -> Any:
    """The family's defaults, changed by what lies beside the weights: a scheduler's config, and recommendations."""
    if not path.is_dir():
        return usual
    changes: dict[str, Any] = {}
    scheduler, said = path / "scheduler" / "scheduler_config.json", path / RECOMMENDED
    if scheduler.is_file():
        read = Schedule.from_config(read_config(scheduler), usual.schedule.spacing)
        changes["schedule"] = dataclasses.replace(read, empirical=usual.schedule.empirical)
    if said.is_file():
        config = read_config(said)
        names = {"steps": "steps", "true_cfg_scale": "true_cfg", "guidance_scale": "guidance", "width": "size"}
        names |= {"max_sequence_length": "text_length"}
        numbers = {ours: config[name] for name, ours in names.items() if type(config.get(name)) in (int, float)}
        changes |= {name: type(getattr(usual, name))(value) for name, value in numbers.items()}
        if type(config.get("shift")) in (int, float):
            changes["schedule"] = dataclasses.replace(usual.schedule, shift=float(config["shift"]), dynamic=False)
    return dataclasses.replace(usual, **changes)
