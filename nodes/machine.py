"""What this machine computes with, and how tensors lie on its disk: what the runtime asks, as it knows no tensor."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import safetensors.torch
import torch
from torch import Tensor

from graph_runtime.problem import Problem, Refused


@dataclass(frozen=True)
class Machine:
    """A device as torch knows it.

    device  "cpu", "mps", "cuda:0";  title what a person calls it;  memory bytes of its own, 0 if it has none
    salt    what results depend on besides their graph: kind of device, torch, and the source of the built-in nodes
    """

    device: str
    title: str
    memory: int
    salt: str

    def peak_bytes(self) -> int:
        """The most bytes of tensors on the device since this was last asked; 0 where torch does not count them."""
        if not self.device.startswith("cuda"):
            return 0
        peak = torch.cuda.max_memory_allocated(self.device)
        torch.cuda.reset_peak_memory_stats(self.device)
        return peak


def machine(device: str, threads: int) -> Machine:
    """The device called `device`; "auto" is the best there is. Raises Refused when there is none of that name.

    threads   that compute on the CPU; 0 leaves the choice to torch
    """
    if threads:
        torch.set_num_threads(threads)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if device.startswith("cuda"):
        return _cuda(device)
    if device == "mps" and not torch.backends.mps.is_available():
        raise Refused(Problem("no-device", "device", "this machine has no Metal GPU.", "Use --device auto or cpu."))
    title = platform.processor() or platform.machine() or "CPU"
    # Metal's memory is the machine's own.
    memory = psutil.virtual_memory().total if device == "mps" else 0
    return Machine(device, title, memory, _salt(device))


def _cuda(device: str) -> Machine:
    number = int(device.partition(":")[2] or 0)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if number >= count:
        there = f"there are {count} of them" if count else "torch finds none here"
        what = f"{device} was asked for, and {there}."
        fix = "Use --device auto or cpu; or install the torch that is made for your GPU and its driver."
        raise Refused(Problem("no-device", "device", what, fix))
    facts = torch.cuda.get_device_properties(number)
    return Machine(f"cuda:{number}", facts.name, facts.total_memory, _salt(f"cuda {facts.major}.{facts.minor}"))


def _salt(kind: str) -> str:
    digest = hashlib.sha256()
    root = Path(__file__).parent
    for file in sorted(root.rglob("*.py")):
        if "starter" in file.relative_to(root).parts:  # how the starter was trained; its weights are files like others
            continue
        digest.update(file.relative_to(root).as_posix().encode() + file.read_bytes())
    return f"{kind} torch {torch.__version__} nodes {digest.hexdigest()[:16]}"


class TensorFile:
    """Tensors by name as one safetensors file."""

    def nbytes(self, tensors: Mapping[str, Tensor]) -> int:
        return sum(t.numel() * t.element_size() for t in tensors.values())

    def write(self, tensors: Mapping[str, Tensor], path: Path) -> None:
        # A view of a large tensor would be saved with all of it, and two views of one are refused.
        safetensors.torch.save_file({name: t.contiguous().clone() for name, t in tensors.items()}, path)

    def read(self, path: Path) -> dict[str, Tensor]:
        return safetensors.torch.load_file(path)
