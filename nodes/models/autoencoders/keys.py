"""How a file says it holds a convolutional autoencoder, how large it is, and where each parameter is in it.

In memory it has the names of latent diffusion's original files. A file has those, or diffusers'. Scale and shift of the
latent are in no tensor: a config.json gives them, otherwise whoever loads it does. Flux.2's has running statistics
instead, by which it is known. Reads headers only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodes.models.weights.part import LARGEST, Part, count, given
from nodes.models.weights.pieces import Source, same_names
from nodes.models.weights.tensor import Header, bad_file

ANCHOR = "decoder.conv_in.weight"
GROUPS = 32
STATISTICS = "bn.running_mean"  # only Flux.2's has it
UNUSED = ("bn.num_batches_tracked",)

# diffusers → original, for what lies outside the numbered blocks.
OUTSIDE = {"conv_norm_out": "norm_out", "conv_in": "conv_in", "conv_out": "conv_out"}
ATTENTION = {
    **{"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"},
    **{"query": "q", "key": "k", "value": "v", "proj_attn": "proj_out"},  # before diffusers 0.18
}


def match(header: Header) -> Part | None:
    """The autoencoder in this file, or None when there is none. Raises Refused when its sizes cannot be known."""
    for name in header.tensors:
        prefix = name.removesuffix(ANCHOR)
        if prefix != name and f"{prefix}decoder.conv_out.weight" in header:
            inner = header.under(prefix).without(lambda inside: inside in UNUSED)
            if "encoder.conv_in.weight" in inner:
                layout = "diffusers" if "decoder.mid_block.resnets.0.conv1.weight" in inner else "original"
                title = "Flux.2 autoencoder" if STATISTICS in inner else "autoencoder"
                return Part("vae", inner, layout, _config(inner, layout), prefix, title)
    return None


def rename(part: Part) -> dict[str, Source]:
    """Where each parameter is: original name → piece of the file."""
    if part.layout == "original":
        return {_outside(name): source for name, source in same_names(part.header).items()}
    levels = len(part.config["widths"])
    return {_original(name, levels): source for name, source in same_names(part.header).items()}


def _config(header: Header, layout: str) -> dict[str, object]:
    """The arguments of the autoencoder's Config."""
    if layout == "original":
        level, block, inner = "encoder.down", "encoder.down.0.block", "encoder.down.{}.block.0.conv1.weight"
    else:
        level, block = "encoder.down_blocks", "encoder.down_blocks.0.resnets"
        inner = "encoder.down_blocks.{}.resnets.0.conv1.weight"
    levels, layers = count(header, level), count(header, block)
    widths = tuple((header.shape(inner.format(i)) or (0,))[0] for i in range(min(max(levels, 0), 9)))
    picture, latent = header.shape("encoder.conv_in.weight"), header.shape(ANCHOR)
    groups = header.config.get("norm_num_groups", GROUPS)
    sound = len(picture) == len(latent) == 4 and 1 <= levels <= 8 and 1 <= layers <= 8 and type(groups) is int
    sound = sound and max(*widths, picture[1], latent[1]) <= LARGEST and min(picture[1], latent[1]) > 0
    if not sound or groups < 1 or any(width < 1 or width % groups for width in widths):
        raise bad_file(
            header.path, f"Its shapes are not those of an autoencoder: widths {list(widths)}, {groups} groups."
        )
    found: dict[str, object] = {
        "channels": picture[1],
        "latent": latent[1],
        "widths": widths,
        "layers": layers,
        "groups": groups,
        "quant": "quant_conv.weight" in header or "encoder.quant_conv.weight" in header,
    }
    if STATISTICS in header:
        return found | _normalised(header, layout, levels, latent[1], groups)
    return found | _scaling(header.config)


def pixels_per_cell(config: Mapping[str, Any]) -> int:
    """Pixels of a cell of what is sampled, each way, for the config of an autoencoder's part."""
    return int(2 ** (len(config["widths"]) - 1)) * (2 if "decoder_widths" in config else 1)


def _normalised(header: Header, layout: str, levels: int, cells: int, groups: int) -> dict[str, object]:
    """What Flux.2's autoencoder has besides: 2 × 2 cells in one, and a decoder with widths of its own."""
    stem = (
        "decoder.up.{}.block.0.conv1.weight" if layout == "original" else "decoder.up_blocks.{}.resnets.0.conv1.weight"
    )
    order = range(levels) if layout == "original" else reversed(range(levels))
    decoder = tuple((header.shape(stem.format(i)) or (0,))[0] for i in order)
    statistics = header.shape(STATISTICS)
    if statistics != (4 * cells,) or any(width < 1 or width % groups or width > LARGEST for width in decoder):
        what = f"Its shapes are not those of Flux.2's autoencoder: {list(statistics)} statistics of {cells} channels."
        raise bad_file(header.path, what)
    side = header.config.get("sample_size")
    sized = {"sample_size": side} if type(side) is int and 16 <= side <= 1 << 16 else {}
    return {"latent": 4 * cells, "decoder_widths": decoder, "scale": 1.0, "shift": 0.0, **sized}


def _scaling(config: Mapping[str, Any]) -> dict[str, object]:
    """Scale, shift and training size out of a config.json; one that has a scale and no shift means no shift.

    A transformer's, in a file of everything, may have a `scaling_factor` and a `sample_size` that mean something else.
    """
    found: dict[str, object] = {}
    if "num_attention_heads" in config:
        return found
    scale, shift, side = (given(config, name) for name in ("scaling_factor", "shift_factor", "sample_size"))
    if type(scale) in (int, float) and 0 < scale < 1e4:
        found["scale"] = float(scale)
        found["shift"] = float(shift) if type(shift) in (int, float) and abs(shift) < 1e4 else 0.0
    if type(side) is int and 16 <= side <= 1 << 16:
        found["sample_size"] = side
    return found


def _outside(name: str) -> str:
    """Flux.2's original files keep the convolutions around the latent inside encoder and decoder."""
    return name.replace("encoder.quant_conv.", "quant_conv.").replace("decoder.post_quant_conv.", "post_quant_conv.")


def _original(name: str, levels: int) -> str:
    """A diffusers name in the original's words; what it does not know it leaves as it is."""
    parts = name.replace("conv_shortcut", "nin_shortcut").split(".")
    match parts:
        case ["encoder", "down_blocks", level, "resnets", block, *rest]:
            return ".".join(("encoder.down", level, "block", block, *rest))
        case ["encoder", "down_blocks", level, "downsamplers", "0", *rest]:
            return ".".join(("encoder.down", level, "downsample", *rest))
        case ["decoder", "up_blocks", level, kind, block, *rest] if level.isdecimal():
            where = f"block.{block}" if kind == "resnets" else "upsample"
            return ".".join((f"decoder.up.{levels - 1 - int(level)}", where, *rest))
        case [side, "mid_block", "resnets", ("0" | "1") as block, *rest]:
            return ".".join((f"{side}.mid.block_{int(block) + 1}", *rest))
        case [side, "mid_block", "attentions", "0", *middle, leaf] if ".".join(middle) in ATTENTION:
            return f"{side}.mid.attn_1.{ATTENTION['.'.join(middle)]}.{leaf}"
        case [side, kind, leaf] if kind in OUTSIDE:
            return f"{side}.{OUTSIDE[kind]}.{leaf}"
    return ".".join(parts)
