"""A module on `meta` becomes a module with weights, read straight from the file.

Each parameter's memory is allocated once, in the dtype and on the device wanted, and the file's bytes go into it:
directly where the stored dtype is the wanted one and the device is the CPU, otherwise a few megabytes at a time. So
memory never holds a second copy of the model. What stays packed is copied as it is stored, or packed a few rows at a
time. Every name, shape and dtype is checked first; all that is wrong is said at once. Knows no family: a family says
where each parameter is by `Piece`s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import torch
from torch import Tensor, nn

from graph_runtime.problem import Problem, Refused
from nodes.models.layers.packed import PackedLinear
from nodes.models.weights.blocks import BLOCKS, dequantise
from nodes.models.weights.decode import DTYPES, decode, from_four_bits, scales_of
from nodes.models.weights.four_bits import FourBits
from nodes.models.weights.packing import FP8, PACKINGS, as_fp8
from nodes.models.weights.pieces import Piece, Source
from nodes.models.weights.quantized import INTEGERS, Scale, readable, separate
from nodes.models.weights.tensor import Header, TensorInfo, bad_file, product, shown

CHUNK = 1 << 19  # numbers that are converted at a time, in each of the readers
READERS = 4
ALONE = 4 << 20  # bytes below which it is not worth having others read too
LISTED = 5

Dtype = torch.dtype | Callable[[str], torch.dtype]


def fill(
    module: nn.Module,
    header: Header,
    rename: Mapping[str, Source],
    dtype: Dtype,
    device: str | torch.device = "cpu",
    copies: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Give every parameter and saved buffer of `module` its numbers from the file.

    rename  where each parameter is; names of the module → pieces of the file
    dtype   of floating-point parameters: one, or one by name. The weight of a PackedLinear is packed as that says
    copies  stored tensors that are not read, because they are others once more: name → the other's

    Raises Refused naming the file, the tensors and both shapes when any is missing, left over, of another shape, or
    of a dtype that cannot be read; or when a copy is none. Tied parameters are read once and stay tied.
    """
    filling = prepared(module, header, rename, dtype, copies)
    targets = {job: torch.empty(job.shape, dtype=job.dtype, device=device) for job in filling.jobs}
    filling.read(targets)
    assign(module, {name: target for job, target in targets.items() for name in job.names})
    _check_filled(module)


@dataclass(frozen=True)
class Job:
    """One parameter or buffer to be read: all its names, where it is in the file, and what it is in memory.

    packing  what it stays packed in; its shape and dtype are then those of the packed rows. "" for plain numbers
    """

    names: tuple[str, ...]
    source: Source
    shape: tuple[int, ...]
    dtype: torch.dtype
    packing: str = ""

    @property
    def nbytes(self) -> int:
        return product(self.shape) * self.dtype.itemsize


class Reader(Protocol):
    """What fills a module whenever it is asked to, in parts or as a whole."""

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Everything there is to be read."""

    def read(self, targets: Mapping[Job, Tensor]) -> None:
        """Fill these tensors. Raises Refused when a file is no longer whole."""

    def rows(self, job: Job, numbers: Sequence[int]) -> Tensor:
        """Some rows of one that is a whole stored tensor, unpacked: (n, columns), on the CPU."""


@dataclass(frozen=True)
class Filling:
    """A file that fits a module, every name, shape and dtype of it checked: `jobs` in the order they have in the file.

    May be asked as often as wanted, from several threads.
    """

    header: Header
    scales: Mapping[str, Scale]
    jobs: tuple[Job, ...]

    def read(self, targets: Mapping[Job, Tensor]) -> None:
        """Fill these tensors, several at a time. Raises Refused when the file is no longer whole."""
        in_order = [job for job in self.jobs if job in targets] if len(targets) > 1 else list(targets)
        alone = sum(job.nbytes for job in in_order) < ALONE
        with torch.no_grad():
            if alone:
                for job in in_order:
                    self._read(job, targets[job])
                return
            with ThreadPoolExecutor(READERS) as pool:
                for done in [pool.submit(self._read, job, targets[job]) for job in in_order]:
                    done.result()

    def _read(self, job: Job, target: Tensor) -> None:
        _read(target, job.source, job.packing, self.header, self.scales)

    def rows(self, job: Job, numbers: Sequence[int]) -> Tensor:
        (piece,) = job.source
        out = torch.empty(len(numbers), *job.shape[1:], dtype=job.dtype)
        for target, number in zip(out.split(1), numbers, strict=True):
            start = piece.start + number
            _read(target, (Piece(piece.name, start, start + 1),), "", self.header, self.scales)
        return out

    def under(self, prefix: str) -> Filling:
        """The same for a module that is a part of another."""
        named = (replace(job, names=tuple(f"{prefix}{name}" for name in job.names)) for job in self.jobs)
        return replace(self, jobs=tuple(named))


@dataclass(frozen=True)
class Fillings:
    """Several files that fill one module together."""

    each: tuple[Filling, ...]

    @property
    def jobs(self) -> tuple[Job, ...]:
        return tuple(job for one in self.each for job in one.jobs)

    def read(self, targets: Mapping[Job, Tensor]) -> None:
        for one in self.each:
            one.read({job: targets[job] for job in one.jobs if job in targets})

    def rows(self, job: Job, numbers: Sequence[int]) -> Tensor:
        return next(one for one in self.each if job in one.jobs).rows(job, numbers)


def prepared(
    module: nn.Module,
    header: Header,
    rename: Mapping[str, Source],
    dtype: Dtype,
    copies: Mapping[str, str] = MappingProxyType({}),
) -> Filling:
    """What `fill` would read, and nothing read yet. Raises as `fill` does."""
    whole, scales = separate(header)
    _check_copies(whole, copies)
    plain = whole.without(copies.__contains__) if copies else whole
    wanted = _wanted(module)
    _check(plain, rename, wanted, scales)
    packed = _packed(module)
    jobs: list[Job] = []
    for names, like in wanted:
        name = next(name for name in names if name in rename)
        inside = packed.get(names[0])
        wanted_dtype = (dtype(name) if callable(dtype) else dtype) if like.is_floating_point() else like.dtype
        like = inside.weight if inside else like
        packing = inside.packing if inside else ""
        jobs.append(Job(tuple(names), rename[name], tuple(like.shape), torch.int8 if inside else wanted_dtype, packing))
    jobs.sort(key=lambda job: (plain.tensors[job.source[0].name].path, plain.tensors[job.source[0].name].offset))
    return Filling(plain, scales, tuple(jobs))


def read_tensor(info: TensorInfo) -> Tensor:
    """One stored tensor by itself, in float32; integers as they are. Raises Refused for what is neither."""
    if not readable(info) and info.dtype not in INTEGERS:
        raise bad_file(info.path, f"'{shown(info.name)}' is stored as {info.dtype}, which is not read by itself.")
    if not info.elements:  # whose shape may be any
        return torch.empty(0)
    out = torch.empty(info.shape)
    _read_piece(out.view(-1), Piece(info.name), info, None, "")
    return out


def _wanted(module: nn.Module) -> list[tuple[list[str], Tensor]]:
    """Each distinct parameter and saved buffer, with every name it has in the module; packed ones in full shape."""
    saved = module.state_dict(keep_vars=True)
    for name, inside in _packed(module).items():
        saved[name] = torch.empty(inside.out_features, inside.in_features, device="meta")
    groups: dict[int, tuple[list[str], Tensor]] = {}
    for name, tensor in saved.items():
        groups.setdefault(id(tensor), ([], tensor))[0].append(name)
    return list(groups.values())


def _packed(module: nn.Module) -> dict[str, PackedLinear]:
    """The names of packed weights, and whose they are."""
    found = ((name, inside) for name, inside in module.named_modules() if isinstance(inside, PackedLinear))
    return {f"{name}.weight" if name else "weight": inside for name, inside in found}


def _check(
    header: Header, rename: Mapping[str, Source], wanted: list[tuple[list[str], Tensor]], scales: Mapping[str, Scale]
) -> None:
    """Raise Refused with all that keeps this file from filling this module."""
    wrong: list[str] = []
    missing: list[str] = []
    used: set[str] = set()
    for names, like in wanted:
        sources = [rename[name] for name in names if name in rename]
        if not sources:
            missing.append(names[0])
            continue
        used.update(piece.name for source in sources for piece in source)
        absent = [piece.name for piece in sources[0] if piece.name not in header]
        missing += absent
        if not absent:
            wrong += _misfit(names[0], like, [(piece, header.tensors[piece.name]) for piece in sources[0]], scales)
    left = [name for name in header.tensors if name not in used]
    path, place = header.path, shown(header.path.name)
    problems = [
        *_listed("missing-tensor", path, missing, "is missing", "Get the whole model, or another version of it."),
        *_listed("left-over-tensor", path, left, "has no place in this model", "It may be of another model."),
        *(Problem("wrong-shape", place, what, "It is of another model or damaged.") for what in wrong),
    ]
    if problems:
        raise Refused(problems)


def _check_copies(header: Header, copies: Mapping[str, str]) -> None:
    """Raise Refused when a tensor that should be another once more is stored with other bytes."""
    for name, other in copies.items():
        one, two = header.tensors[name], header.tensors.get(other)
        if two is None or (one.dtype, one.shape) != (two.dtype, two.shape) or not _alike(one, two):
            what = f"'{shown(name)}' is not '{shown(other)}' once more: this model was trained with the two apart."
            raise bad_file(header.path, what, "Such models are not read yet; use one that was not trained further.")


def _alike(one: TensorInfo, two: TensorInfo) -> bool:
    """Whether the same bytes are stored for both."""
    with one.path.open("rb") as first, two.path.open("rb") as second:
        first.seek(one.offset)
        second.seek(two.offset)
        left = one.nbytes
        while left > 0:
            size = min(left, 8 << 20)
            if first.read(size) != second.read(size):
                return False
            left -= size
    return True


def _misfit(name: str, like: Tensor, pieces: list[tuple[Piece, TensorInfo]], scales: Mapping[str, Scale]) -> list[str]:
    """What is wrong with these pieces as this parameter; at most one sentence."""
    for piece, info in pieces:
        fits = readable(info, piece.name in scales) if like.is_floating_point() else info.dtype in (*INTEGERS, "BOOL")
        if not fits:
            return [f"'{shown(piece.name)}' is stored as {info.dtype}, which is not read without a scale, or at all."]
        rows = _rows(info)[0] if info.elements else 0
        if piece.stop is not None and not 0 <= piece.start <= piece.stop <= rows:
            return [f"'{shown(piece.name)}' has {rows} rows; rows {piece.start} to {piece.stop} are wanted."]
    shapes = [_piece_shape(piece, info) for piece, info in pieces]
    joined = (sum(shape[0] for shape in shapes if shape), *shapes[0][1:]) if len(shapes) > 1 else shapes[0]
    if len({shape[1:] for shape in shapes}) > 1 or _squeezed(joined) != _squeezed(tuple(like.shape)):
        came = " + ".join(str(list(shape)) for shape in shapes)
        from_ = ", ".join(shown(piece.name) for piece, _ in pieces)
        return [f"'{shown(name)}' is {list(like.shape)}, but {from_} is {came}."]
    return []


def _piece_shape(piece: Piece, info: TensorInfo) -> tuple[int, ...]:
    return info.shape if piece.stop is None else (piece.stop - piece.start, *info.shape[1:])


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Without axes of length 1: a 1 × 1 convolution is a matrix, and GGUF drops leading ones."""
    return tuple(size for size in shape if size != 1)


def _listed(code: str, path: Path, names: list[str], what: str, fix: str) -> list[Problem]:
    """One Problem that names the first few and counts the others."""
    if not names:
        return []
    some = ", ".join(f"'{shown(name)}'" for name in names[:LISTED])
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return [Problem(code, shown(path.name), f"{some}{more} {what}.", fix)]


def _read(target: Tensor, source: Source, packing: str, header: Header, scales: Mapping[str, Scale]) -> None:
    """Fill one parameter from its pieces; `packing` is what it stays packed in, "" for plain numbers."""
    flat, at = target.view(-1), 0
    for piece in source:
        info = header.tensors[piece.name]
        shape = _piece_shape(piece, info)
        count = shape[0] * target.shape[1] if packing else product(shape)
        if count:
            _read_piece(flat[at : at + count], piece, info, scales.get(piece.name), packing)
        at += count


def _read_piece(out: Tensor, piece: Piece, info: TensorInfo, scale: Scale | None, packing: str) -> None:
    """Fill `out` (N,), numbers or packed bytes, with the rows of one stored tensor.

    Straight into place where they are stored as they are wanted, otherwise a few megabytes at a time.
    """
    stored, row_bytes = _rows(info)
    rows = stored if piece.stop is None else piece.stop - piece.start
    out = out.view(rows, -1)
    as_stored = scale is None and (packing == info.dtype if packing else DTYPES.get(info.dtype) == out.dtype)
    with info.path.open("rb", buffering=0) as file:
        file.seek(info.offset + piece.start * row_bytes)
        if as_stored and out.device.type == "cpu":
            _read_bytes(file, out.view(-1).view(torch.uint8), info)
            return
        factor = _factor(scale, piece.start, rows).to(out.device) if scale else None
        made = _from_four_bits(info, piece.start * row_bytes) if isinstance(info, FourBits) else None
        step = max(1, CHUNK // (info.elements // stored))
        scratch = torch.empty(min(step, rows) * row_bytes, dtype=torch.uint8)
        for first in range(0, rows, step):
            target = out[first : first + step]
            raw = scratch[: len(target) * row_bytes]
            _read_bytes(file, raw, info)
            if as_stored:
                target.view(torch.uint8).copy_(raw.view(len(target), -1))
                continue
            if info.dtype in BLOCKS and not packing and factor is None:
                dequantise(raw.to(out.device), info.dtype, target.view(-1))
                continue
            if info.dtype == "F8_E4M3" and packing in FP8:
                one = factor[first : first + step] if factor is not None and factor.numel() > 1 else factor
                target.copy_(_same_fp8(raw.to(out.device).view(len(target), -1), one))
                continue
            numbers = made(raw, first * row_bytes) if made else _decoded(raw, info, row_bytes, out.device)
            numbers = numbers.to(out.device).view(len(target), -1)
            if factor is not None:
                numbers = numbers.float() * (factor if factor.numel() == 1 else factor[first : first + step]).view(
                    -1, 1
                )
            target.copy_(_packed_rows(numbers, packing) if packing else numbers)


def _from_four_bits(info: FourBits, before: int) -> Callable[[Tensor, int], Tensor]:
    """How bytes of such a tensor become numbers, given how many come before them."""
    scales, table = scales_of(info, read_tensor), read_tensor(info.table).flatten()
    return lambda raw, at: from_four_bits(info, raw, before + at, scales, table)


def _decoded(raw: Tensor, info: TensorInfo, row_bytes: int, device: torch.device) -> Tensor:
    """Stored bytes as numbers (N,) on a device; what is decoded by torch is decoded there."""
    there = raw.to(device) if info.dtype in DTYPES or info.dtype in BLOCKS else raw
    return decode(there, info.dtype, row_bytes).to(device)


def _packed_rows(numbers: Tensor, packing: str) -> Tensor:
    pack = PACKINGS[packing].pack
    if pack is None:
        raise TypeError(f"{packing} is read from files, and not made.")
    return pack(numbers.float()).view(torch.int8)


def _same_fp8(codes: Tensor, factor: Tensor | None) -> Tensor:
    """Stored e4m3 (R, C) as packed rows: the very numbers, since each row takes the scale that the file has for it."""
    scale = torch.ones(1, 1, device=codes.device) if factor is None else factor.view(-1, 1)
    return as_fp8(codes, scale).view(torch.int8)


def _rows(info: TensorInfo) -> tuple[int, int]:
    """How many rows a stored tensor is read in, and their bytes. A row of GGUF's blocks cannot be cut."""
    rows = info.shape[0] if len(info.shape) > 1 or (info.shape and info.dtype in DTYPES) else 1
    return rows, info.nbytes // rows


def _factor(scale: Scale, start: int, rows: int) -> Tensor:
    """The scale of rows `start` … `start + rows`: (rows,) or (1,), float32."""
    raw = torch.empty(scale.info.nbytes, dtype=torch.uint8)
    with scale.info.path.open("rb", buffering=0) as file:
        file.seek(scale.info.offset)
        _read_bytes(file, raw, scale.info)
    numbers = decode(raw, scale.info.dtype, scale.info.nbytes).float() / scale.divisor
    return numbers if numbers.numel() == 1 else numbers[start : start + rows]


def _read_bytes(file: FileIO, out: Tensor, info: TensorInfo) -> None:
    """Fill `out` (uint8, CPU) from where the file stands."""
    view, came = memoryview(out.numpy().data), 0
    while came < len(view):
        more = file.readinto(view[came:])
        if not more:
            what = f"The file ended inside '{shown(info.name)}': {len(view):,} bytes wanted, {came:,} came."
            raise bad_file(info.path, what, "It was changed or cut short while it was read; download it again.")
        came += more


def assign(module: nn.Module, targets: Mapping[str, Tensor]) -> None:
    """Put the tensors into the module, tied ones as one parameter."""
    parameters: dict[int, nn.Parameter] = {}
    for name, tensor in targets.items():
        owner = module.get_submodule(name.rpartition(".")[0])
        leaf = name.rpartition(".")[2]
        if leaf in owner._parameters:
            held = parameters.setdefault(id(tensor), nn.Parameter(tensor, requires_grad=False))
            owner._parameters[leaf] = held
        else:
            owner._buffers[leaf] = tensor


def _check_filled(module: nn.Module) -> None:
    """Raise Refused when something is still on `meta`."""
    left = [name for name, t in [*module.named_parameters(), *module.named_buffers()] if t.is_meta]
    if left:
        what = f"{', '.join(left[:LISTED])} of {type(module).__name__} came from no file and was never computed."
        raise Refused(Problem("left-on-meta", type(module).__name__, what, "Compute it when the module is built."))
