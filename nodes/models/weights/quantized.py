"""Tensors that are not plain numbers: fp8 with scales, int8 rows with scales, packings that are not read.

`separate` takes the scales out of a header, so that what is left is one tensor per parameter. Reads no tensor data;
knows no torch and no family.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nodes.models.weights.four_bits import FourBits
from nodes.models.weights.gguf import BLOCKS
from nodes.models.weights.tensor import Header, TensorInfo, bad_file, shown

# Plain numbers that need nothing beside them.
FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ")
INTEGERS = ("I8", "U8", "I16", "I32", "I64")
# GGUF's blocks that exist only inside a computation, or are too new for the dequantiser.
NOT_READ = ("Q8_1", "Q8_K", "Q1_0")

# Beside `X.weight`: its scale, and what the stored number is divided by. ComfyUI's two spellings, bitsandbytes' int8.
SCALES = {".scale_weight": 1.0, ".weight_scale": 1.0, ".SCB": 127.0}
# Beside `X.weight`: what only a quantised matrix product would need.
ASIDE = (".scale_input", ".input_scale", ".output_scale", ".comfy_quant", ".weight_format")
MARKER = "scaled_fp8"

# quant_method of a config.json: those whose tensors say themselves what they are.
READ = ("bitsandbytes", "gguf", "quanto", "torchao")

# Names that only formats have which are not read.
FOREIGN = (
    (".quant_state.", "bitsandbytes 4-bit"),
    (".absmax", "bitsandbytes 4-bit"),
    (".weight_scale_2", "NVFP4"),
    (".wscales", "Nunchaku (SVDQuant)"),
    (".qweight", "Nunchaku or GPTQ"),
)


@dataclass(frozen=True, slots=True)
class Scale:
    """W = stored · scale / divisor, with one scale for the tensor or one per row."""

    info: TensorInfo
    divisor: float


def quantisation(header: Header) -> str:
    """What a header's weights are packed in, in a person's words; "" when they are plain or GGUF's."""
    for name in header.tensors:
        for mark, what in FOREIGN:
            if mark in name or name.endswith(mark):
                return what
    if any(name.endswith(".SCB") for name in header.tensors):
        return "bitsandbytes int8"
    scaled = (f"{name.removesuffix(mark)}.weight" for mark in SCALES for name in header.tensors if name.endswith(mark))
    found = next((header.tensors[name].dtype for name in scaled if name in header), "")
    return "scaled int8" if found == "I8" else "scaled fp8" if found else ""


def check_method(header: Header) -> None:
    """Raise Refused when a config.json says that the weights were packed by something that is not read."""
    told = header.config.get("quantization_config")
    method = told.get("quant_method") if isinstance(told, Mapping) else None
    if method is not None and method not in READ:
        what = f"Its config.json says that its weights are packed by {shown(str(method))}, which is not read."
        raise bad_file(
            header.path, what, "Use the bf16, fp8, GGUF, bitsandbytes, quanto or torchao version of this model."
        )


def separate(header: Header) -> tuple[Header, dict[str, Scale]]:
    """The header without scales and markers, and the scale of each weight that has one.

    Raises Refused for packings that are not read, and for a scale that fits no weight.
    """
    scales: dict[str, Scale] = {}
    for name, info in header.tensors.items():
        for mark, what in FOREIGN:
            if mark in name:
                raise bad_file(
                    header.path, f"'{shown(name)}' says the weights are packed as {what}, which is not read.",
                    "Use the bf16, fp8 or GGUF version of this model.",
                )  # fmt: skip
        for ending, divisor in SCALES.items():
            if name.endswith(ending):
                scales[name.removesuffix(ending) + ".weight"] = Scale(info, divisor)
    for weight, scale in scales.items():
        rows = header.shape(weight)[:1]
        if weight not in header:
            raise bad_file(header.path, f"'{shown(scale.info.name)}' scales '{shown(weight)}', which is not there.")
        if scale.info.elements not in (1, *rows) or scale.info.dtype not in ("F32", "F16", "BF16"):
            shape = list(scale.info.shape)
            raise bad_file(header.path, f"'{shown(scale.info.name)}' is {scale.info.dtype} {shape}: no scale per row.")
    return header.without(_is_aside), scales


def _is_aside(name: str) -> bool:
    return name.endswith((*SCALES, *ASIDE)) or name == MARKER or name.endswith("." + MARKER)


def readable(info: TensorInfo, scaled: bool = False) -> bool:
    """Whether the stored numbers can be decoded: a plain float, an integer with its scale, or GGUF's blocks."""
    if info.dtype in FLOATS or isinstance(info, FourBits):
        return True
    if info.dtype in INTEGERS:
        return scaled
    return BLOCKS.get(info.dtype, (1, 0))[0] > 1 and info.dtype not in NOT_READ
