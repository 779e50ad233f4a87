"""Nodes that say how a model's weights are kept in memory. Nothing is loaded here: what comes out are recipes, and what
they will take is known from headers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Annotated

from graph_runtime.context import Context
from graph_runtime.node import Knob, node
from nodes.checkpoint import Dtype, load_model
from nodes.models.layers.bnb import installed
from nodes.models.layers.multiplied import lacking
from nodes.models.weights.packing import BITSANDBYTES, MULTIPLIED
from nodes.models.weights.storage import PACKED, STORAGES, Cost
from nodes.recipes import Model, TextEncoder
from nodes.sockets import refused

Method = Annotated[str, Knob(choices=lambda: STORAGES)]


@node("core/load_quantized", title="Load quantized model", category="loaders")
def load_quantized(
    ctx: Context, *, file: Annotated[str, Knob(file="model")] = "", method: Method = "int8", dtype: Dtype = "auto"
) -> Model:
    """Only what paints, in less memory: the large matrices stay packed and are unpacked as they are used.

    file: a .safetensors or .gguf file, or a folder as diffusers writes it
    method: int8 and fp8 take a byte a weight, nf4 and int4 half of one; packed keeps the blocks of a GGUF file;
        fp8-matmul also multiplies in float8, which is faster and a little less exact, on GPUs from the RTX 40 and H100
        on; what begins with bnb is computed by bitsandbytes, if that is installed
    dtype: what it computes in; auto takes bfloat16 for what is large
    """
    _check(method)
    model = load_model(ctx, file=file, dtype=dtype)
    found = model.stored.found()
    kept = model.kept_in(method, found)
    _tell(ctx, file, method, model.dtype, [kept.cost(found)])
    return kept


@node("core/quantize_text_encoder", title="Quantize text encoder", category="loaders")
def quantize_text_encoder(text_encoder: TextEncoder, ctx: Context, *, method: Method = "int8") -> TextEncoder:
    """The same text encoders in less memory.

    text_encoder: from any file
    method: as in Load quantized model
    """
    _check(method)
    parts = text_encoder.parts()
    kept = text_encoder.kept_in(method, parts)
    _tell(ctx, text_encoder.title, method, text_encoder.dtype, kept.costs(parts))
    return kept


def _check(method: str) -> None:
    if method in BITSANDBYTES and not installed():
        what = "this method is bitsandbytes' own, which is not installed."
        raise refused("no-bitsandbytes", method, what, "Run pip install latentloom[bnb], or choose int8 or nf4.")


def _tell(ctx: Context, name: str, method: str, dtype: str, costs: Iterable[Cost]) -> None:
    """Log what is packed in what, and bytes before and after. Refused when what was to stay packed is not packed."""
    costs = list(costs)
    packed: Counter[str] = Counter()
    for cost in costs:
        packed.update(cost.packed)
    if method == PACKED and not packed:
        what = "nothing in it is packed: it holds plain numbers."
        raise refused("nothing-packed", name, what, "Choose int8, fp8, nf4 or int4, which pack them as they are read.")
    before, after = sum(cost.plain for cost in costs), sum(cost.nbytes for cost in costs)
    if method in MULTIPLIED and (reason := lacking(ctx.device)):
        ctx.log(f"{name}: {method} multiplies nothing in float8 here: {reason}. Weights are unpacked, as fp8 does it.")
    words = ", ".join(f"{number} matrices in {packing}" for packing, number in packed.most_common()) or "nothing packed"
    full = sum(cost.full for cost in costs)
    ctx.log(f"{name}: {words}, {full} in {dtype}; {_size(before)} would be all in {dtype}, {_size(after)} it takes.")


def _size(count: int) -> str:
    unit, name = (1e9, "GB") if count >= 1e9 else (1e6, "MB")
    return f"{count / unit:,.2f} {name}"
