"""How the weights of a model are kept in memory, and what that costs.

    unpacked   numbers in the dtype that is computed in
    packed     as they are in the file, where they are in blocks (GGUF); unpacked in each layer when it is called
    int8 …     packed while they are read, whatever they are in the file; see `packing`
    fp8-matmul as fp8, and multiplied so, as x is then too, where the device has such products
    bnb-int8 … packed while they are read, and multiplied by bitsandbytes

Only the matrices of Linears are ever packed, and of those not the ones that a family keeps in full. Knows no family
and reads no tensor data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from nodes.models.layers.bnb import BitsAndBytesLinear
from nodes.models.layers.multiplied import Fp8Linear
from nodes.models.layers.packed import PackedLinear
from nodes.models.weights.blocks import BLOCKS
from nodes.models.weights.packing import BITSANDBYTES, METHODS, MULTIPLIED, PACKINGS
from nodes.models.weights.pieces import Source
from nodes.models.weights.quantized import separate
from nodes.models.weights.tensor import Header

UNPACKED, PACKED = "unpacked", "packed"
STORAGES = (UNPACKED, PACKED, *METHODS, *MULTIPLIED, *BITSANDBYTES)
LINEARS: dict[str, type[PackedLinear]] = dict.fromkeys(MULTIPLIED, Fp8Linear) | dict.fromkeys(
    BITSANDBYTES, BitsAndBytesLinear
)
"""By packing, where it is not a PackedLinear."""

Kept = tuple[str, ...]
"""Beginnings and ends of the names of modules that are never packed."""


def linears(module: nn.Module) -> Iterator[tuple[str, nn.Linear | PackedLinear]]:
    """Every Linear of a module, packed or not, by name."""
    return ((name, one) for name, one in module.named_modules() if isinstance(one, (nn.Linear, PackedLinear)))


def pack_linears(
    module: nn.Module, header: Header, rename: Mapping[str, Source], storage: str, kept: Kept = ()
) -> None:
    """Put a PackedLinear in the place of each Linear of a module on `meta` that is to be packed."""
    if storage == UNPACKED:
        return
    plain, scales = separate(header)
    for name, linear in list(module.named_modules()):
        if type(linear) is not nn.Linear or name.startswith(kept) or name.endswith(kept):
            continue
        source = rename.get(f"{name}.weight", ())
        kinds = {plain.tensors[piece.name].dtype for piece in source if piece.name in plain}
        in_blocks = len(kinds) == 1 and kinds <= BLOCKS.keys() and not any(piece.name in scales for piece in source)
        packing = storage if storage != PACKED else next(iter(kinds)) if in_blocks else ""
        if packing and PACKINGS[packing].row_bytes(linear.in_features):
            with torch.device("meta"):
                kind = LINEARS.get(packing, PackedLinear)
                packed = kind(linear.in_features, linear.out_features, packing, linear.bias is not None)
            module.set_submodule(name, packed)


def largest_unpacked(module: nn.Module) -> int:
    """Numbers of the largest matrix that is unpacked when it is called."""
    packed = (one for one in module.modules() if isinstance(one, PackedLinear))
    return max((one.in_features * one.out_features for one in packed if one.packing not in BITSANDBYTES), default=0)


@dataclass(frozen=True)
class Cost:
    """What a module takes in memory.

    nbytes       of all of it;  plain  of the same with nothing packed
    packed       how many matrices are packed in what;  full  how many matrices are not
    """

    nbytes: int
    plain: int
    packed: Mapping[str, int] = field(default_factory=dict)
    full: int = 0


def cost(module: nn.Module, dtype: torch.dtype) -> Cost:
    """Of a module on `meta`, when its numbers are of that dtype. Tied parameters count once."""
    nbytes = plain = full = 0
    packed: dict[str, int] = {}
    weights = {id(one.weight): one for one in module.modules() if isinstance(one, PackedLinear)}
    for tensor in {id(t): t for t in module.state_dict(keep_vars=True).values()}.values():
        inside = weights.get(id(tensor))
        size = dtype.itemsize if tensor.is_floating_point() else tensor.element_size()
        if inside:
            packed[inside.packing] = packed.get(inside.packing, 0) + 1
            nbytes += tensor.numel()
            plain += inside.in_features * inside.out_features * dtype.itemsize
        else:
            full += tensor.dim() == 2
            nbytes += tensor.numel() * size
            plain += tensor.numel() * size
    return Cost(nbytes, plain, packed, full)
