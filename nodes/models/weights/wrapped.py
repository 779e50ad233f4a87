"""Matrices that quanto and torchao packed, as diffusers writes them: a file has the parts of each by their names.

    quanto     X.weight._data, X.weight._scale, X.input_scale, X.output_scale
    torchao    X._weight_qdata, X._weight_scale, X._weight_zero_point (zeroes, or the matrix is refused)

`plain` gives them the names of other files with scales, since they mean the same: W = stored · scale, one scale for the
matrix or one a row, stored as int8 or float8. Everything else these libraries have (4 bits, groups, zero points) is
refused by its name. Knows no torch. Layouts: optimum-quanto 0.2 `WeightQBytesTensor`, torchao 0.18
`prototype/safetensors/safetensors_support.py`.
"""

from __future__ import annotations

from dataclasses import replace

from nodes.models.weights.tensor import Header, TensorInfo, bad_file, shown

QUANTO, TORCHAO = "quanto", "torchao"
CODES = ("I8", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ")
ZERO_POINT = "._weight_zero_point"
MOST = 1 << 20  # bytes of zero points: no matrix has more rows
FIX = "Use its int8 or float8 version, or another format of this model."


def plain(header: Header) -> Header:
    """The header with each such matrix as `X.weight` and `X.weight_scale`. Refused when one is of another kind."""
    if not any(name.endswith(("._data", "_qdata")) for name in header.tensors):
        return header
    tensors: dict[str, TensorInfo] = {}
    for name, info in header.tensors.items():
        if name.endswith(ZERO_POINT) and _zeroes(info):
            continue
        new = _named(header, name, info)
        if new in tensors:
            raise bad_file(header.path, f"'{shown(name)}' and '{shown(tensors[new].name)}' are the same matrix.")
        tensors[new] = replace(info, name=new) if new != name else info
    return replace(header, tensors=tensors)


def _zeroes(info: TensorInfo) -> bool:
    """Whether a zero point, a number a row, is nothing but zeroes."""
    if info.nbytes > MOST:
        return False
    try:
        with info.path.open("rb") as file:
            file.seek(info.offset)
            return not any(file.read(info.nbytes))
    except OSError as error:
        raise bad_file(info.path, f"It cannot be read: {error.strerror}.", "Check the file.") from None


def _named(header: Header, name: str, info: TensorInfo) -> str:
    """The name that a part goes by elsewhere."""
    for who, ending, ours in (
        (QUANTO, ".weight._data", ".weight"),
        (QUANTO, ".weight._scale", ".weight_scale"),
        (TORCHAO, "._weight_qdata", ".weight"),
        (TORCHAO, "._weight_scale", ".weight_scale"),
    ):
        if not name.endswith(ending):
            continue
        if ours == ".weight" and (info.dtype not in CODES or len(info.shape) != 2):
            what = f"'{shown(name)}' is {info.dtype} {list(info.shape)}, as {who} keeps what is no int8 or float8."
            raise bad_file(header.path, what, FIX)
        return name.removesuffix(ending) + ours
    for who, mark in ((QUANTO, ".weight._"), (TORCHAO, "._weight_")):
        if mark in name:
            what = f"'{shown(name)}' belongs to a kind of {who}'s matrices that is not read."
            raise bad_file(header.path, what, FIX)
    return name
