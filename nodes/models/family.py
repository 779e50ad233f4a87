"""Which model families there are, and which one a file is.

A family is a folder with the same file names as every other; naming it in FAMILIES is all that makes it known. A file
belongs to the one family whose `keys.match` claims its header; text encoders and autoencoders are found beside it, by
their own keys. Reads headers only, imports a family's modules when they are asked for, and knows no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from graph_runtime.problem import Problem, Refused
from nodes.models import kinds
from nodes.models.autoencoders import keys as autoencoder_keys
from nodes.models.encoders import keys as encoder_keys
from nodes.models.weights import folder
from nodes.models.weights.header import Header, read_header
from nodes.models.weights.part import Part
from nodes.models.weights.quantized import check_method, quantisation
from nodes.models.weights.tensor import shown


@dataclass(frozen=True, slots=True)
class LatentFormat:
    """The space a family paints in.

    channels   of a latent;  downscale  pixels per cell, each way;  patch  cells per token, each way
    scale, shift   what is sampled is (z − shift) · scale of what the autoencoder gives
    """

    channels: int
    downscale: int = 8
    scale: float = 1.0
    shift: float = 0.0
    patch: int = 2


@dataclass(frozen=True, slots=True)
class Family:
    """A family by its package. The modules in it, the same in every family:

    config       Config, with latent_channels, guidance (was it distilled with it), wants_picture, and
                 step_bytes(batch, tokens, levels, itemsize): what painting takes beside the weights
    keys         match(header) -> Part | None, rename(part) -> where each parameter is, KEPT:
                 what is never packed; maybe copies(part), and aliases(config): names in LoRAs
    transformer  Transformer(config), velocity(net, conditioning, shape, sigmas, guidance)
    text         TextEncoder(one argument per encoder and per tokenizer): prompts to Encoded; `defaults.NEGATIVE`,
                 where there is one, is what it is told of a negative
    defaults     ENCODERS, LATENT, TEXT_LENGTH, and defaults(config): what a new workflow starts with; maybe OPTIONS,
                 what velocity can be told beyond that, POSITIONS, its ways for other sizes, and MAGNITUDES, how much
                 what its blocks add grows from step to step
                 READINGS and encoders(config), where not all of its transformers read with the same text encoders
    preview      COLOURS of a latent's channels
    """

    package: str

    @property
    def name(self) -> str:
        return self.package.rpartition(".")[2]

    @property
    def keys(self) -> ModuleType:
        return import_module(f"{self.package}.keys")

    @property
    def transformer(self) -> ModuleType:
        return import_module(f"{self.package}.transformer")

    @property
    def text(self) -> ModuleType:
        return import_module(f"{self.package}.text")

    @property
    def defaults(self) -> ModuleType:
        return import_module(f"{self.package}.defaults")

    @property
    def readings(self) -> tuple[tuple[str, ...], ...]:
        """The kinds of text encoders it reads with, together; several such sets where its transformers differ."""
        found: tuple[tuple[str, ...], ...] = getattr(self.defaults, "READINGS", (self.defaults.ENCODERS,))
        return found

    def encoders(self, config: Any) -> tuple[str, ...]:
        """The set that a transformer of these sizes reads with."""
        told = getattr(self.defaults, "encoders", None)
        found: tuple[str, ...] = told(config) if told else self.defaults.ENCODERS
        return found


FAMILIES: tuple[Family, ...] = (
    Family("nodes.models.flux1"),
    Family("nodes.models.auraflow"),
    Family("nodes.models.lumina"),
    Family("nodes.models.flux2"),
)


@dataclass(frozen=True)
class Found:
    """What a file or folder holds.

    family  whose transformer it is; None when it has none
    parts   "transformer", "vae", and text encoders by their kind, "clip", "t5"; those it has
    """

    path: Path
    format: str
    family: Family | None
    parts: Mapping[str, Part] = field(default_factory=dict)

    @property
    def variant(self) -> str:
        """What a person calls it: "dev", "schnell"; "" without a transformer."""
        return self.parts["transformer"].variant if "transformer" in self.parts else ""

    @property
    def config(self) -> Any:
        """The sizes of the transformer; None without one."""
        return self.parts["transformer"].config if "transformer" in self.parts else None


def family_named(name: str, families: Sequence[Family] = FAMILIES) -> Family:
    """The family of that name. Raises Refused when there is none."""
    for family in families:
        if family.name == name:
            return family
    known = ", ".join(family.name for family in families)
    raise Refused(Problem("unknown-family", shown(name), "There is no family of this name.", f"Use one of {known}."))


def find(path: Path, config: Mapping[str, Any] | None = None, families: Sequence[Family] = FAMILIES) -> Found:
    """All models in a file, a component folder or a pipeline folder. `config` stands in for a missing config.json.

    Raises Refused when the file is malformed, when nothing in it is known, or when more than one family claims it.
    """
    if path.is_dir() and (path / folder.INDEX).is_file():
        return _pipeline(path, families)
    header = read_header(path)
    header = replace(header, config=header.config or config or {})
    family, parts = _parts(header, families)
    if not parts:
        raise Refused(_unknown(header))
    folders = [path.parent / path.name.replace("text_encoder", "tokenizer")] if path.is_dir() else []
    parts = {name: _with_tokenizer(part, path.parent, folders) for name, part in parts.items()}
    return Found(path, header.format, family, parts)


def detect(path: Path, config: Mapping[str, Any] | None = None, families: Sequence[Family] = FAMILIES) -> Found:
    """As `find`, for a file that must hold a transformer. Raises Refused, with what it holds, if it has none."""
    found = find(path, config, families)
    if found.family is None:
        held = " and ".join(sorted(part.variant or part.kind for part in found.parts.values()))
        what = f"It holds no transformer, only {held}."
        fix = "Load it with the node for text encoders or VAEs."
        raise Refused(Problem("no-transformer", shown(path.name), what, fix))
    return found


def _parts(header: Header, families: Sequence[Family]) -> tuple[Family | None, dict[str, Part]]:
    """The family that claims the transformer in this header, and every model in it."""
    check_method(header)
    claims = [(family, part) for family in families if (part := family.keys.match(header))]
    if len(claims) > 1:
        names = " and ".join(family.name for family, _ in claims)
        what = f"Two families claim it: {names}. {kinds.statistics(header)}."
        raise Refused(Problem("two-families", shown(header.path.name), what, "Report it, with the name of the file."))
    family, transformer = claims[0] if claims else (None, None)
    kind = kinds.kind_of(header)
    if transformer is None and kind is not None and kind.fix in (kinds.LORA, kinds.ADDED):
        return None, {}
    parts = {"transformer": transformer} if transformer else {}
    wanted = getattr(transformer.config, "pooled_width", 0) if transformer else 0
    found = [*encoder_keys.match(header, wanted), autoencoder_keys.match(header)]
    return family, parts | {part.kind: part for part in found if part}


def _pipeline(path: Path, families: Sequence[Family]) -> Found:
    """The models of a diffusers pipeline folder; components of other kinds are left alone."""
    family: Family | None = None
    parts: dict[str, Part] = {}
    for name, (component, _) in folder.components(path).items():
        if not any(p.suffix in (".safetensors", ".gguf", *folder.PICKLES) for p in component.iterdir()):
            continue
        claimed, found = _parts(read_header(component), families)
        family = claimed or family
        folders = [path / name.replace("text_encoder", "tokenizer")]
        parts |= {kind: _with_tokenizer(part, path, folders) for kind, part in found.items()}
    if not parts:
        what, fix = "No model in this folder is known.", "Choose a pipeline of a family that the README lists."
        raise Refused(Problem("unknown-model", shown(path.name), what, fix))
    return Found(path, "pipeline", family, parts)


def _with_tokenizer(part: Part, beside: Path, folders: list[Path]) -> Part:
    """A text encoder with the first of these folders that has a tokenizer, or one of the usual names beside it."""
    if part.kind not in encoder_keys.TOKENIZERS:
        return part
    usual = [beside / name for name in encoder_keys.TOKENIZERS[part.kind]]
    found = (path for path in (*folders, *usual) if path.is_dir() and _has_tokenizer(path))
    return replace(part, tokenizer=next(found, part.tokenizer))


def _has_tokenizer(folder: Path) -> bool:
    """By its name, or, as the folder of a language model that has its tokenizer in it, by its files."""
    return "tokenizer" in folder.name or any((folder / f"tokenizer.{end}").is_file() for end in ("json", "model"))


def _unknown(header: Header) -> Problem:
    kind = kinds.kind_of(header)
    place = shown(header.path.name)
    if kind is not None:
        return Problem("other-model", place, f"This looks like {kind.title}: {kinds.statistics(header)}.", kind.fix)
    what = f"No family knows this model: {kinds.statistics(header)}."
    return Problem("unknown-model", place, what, "Choose a model of a family that is listed in the README.")


def inspect(path: Path, families: Sequence[Family] = FAMILIES) -> dict[str, Any]:
    """What a file or folder holds, as plain data for a person or a program. Reads headers only."""
    found = find(path, families=families)
    titles = (part.header.metadata.get(key, "") for part in found.parts.values() for key in TITLES)
    return {
        "path": path.name,
        "format": found.format,
        "family": found.family.name if found.family else "",
        "variant": found.variant,
        "title": shown(next(filter(None, titles), ""), 200),
        "bytes": sum(part.nbytes for part in found.parts.values()),
        "parts": {
            name: {
                "kind": part.variant or part.kind,
                "layout": part.layout,
                "prefix": part.prefix,
                "dtype": kinds.main_dtype(part.header),
                "packing": quantisation(part.header) or kinds.blocks(part.header),
                "tensors": len(part.header.tensors),
                "parameters": part.header.parameters,
                "bytes": part.nbytes,
            }
            for name, part in found.parts.items()
        },
    }


TITLES = ("modelspec.title", "general.name", "title", "ss_output_name")
