"""Attention over (B, heads, L, d), the way from packed projections to heads and back, and which kernel computes it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from graph_runtime.problem import Problem, Refused

AUTO = "auto"
BACKENDS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "memory-efficient": SDPBackend.EFFICIENT_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "math": SDPBackend.MATH,
}
"""Kernels of torch's scaled dot product attention that can be asked for."""
FASTEST_FIRST = ["cudnn", "flash", "memory-efficient", "math"]
"""On a GPU: cuDNN's computes the head widths of these models at one and a half times the rate of flash 2 or more."""
NONE_FITS = ("No available kernel", "No viable backend")


def heads_of(qkv: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """(B, L, 3·D), queries then keys then values → three (B, heads, L, D/heads)."""
    q, k, v = qkv.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
    return q, k, v


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None, scale: float | Tensor | None = None) -> Tensor:
    """softmax(q kᵀ · scale + bias) v, heads joined again: (B, heads, L, d) → (B, L, heads·d).

    k and v may have fewer heads, each for as many neighbouring ones of q (Ainslie et al. 2023, arXiv:2305.13245). The
    scale is 1 / √d when not given; a tensor () is one that no compiled graph holds fast. A bias of truth values is a
    mask.
    """
    shared = {"enable_gqa": True} if q.shape[1] != k.shape[1] else {}  # a branch: a compiler has to know which
    if isinstance(scale, Tensor):
        q, scale = (q * scale * q.shape[-1] ** 0.5).to(q.dtype), None
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=scale, **shared)
    return mixed.transpose(1, 2).flatten(2)


def missing(backend: str, device: str) -> str:
    """Why a device does not have this kernel; "" when it has it. What a kernel cannot compute is only seen in use."""
    kind = torch.device(device).type
    if backend in (AUTO, "math"):
        return ""
    if kind != "cuda":
        return "" if kind == "cpu" and backend == "flash" else f"it is a kernel of NVIDIA GPUs, and this is {device}"
    capability = torch.cuda.get_device_capability(device)
    if backend == "flash" and not torch.backends.cuda.is_flash_attention_available():
        return "this build of torch comes without it"
    if backend == "cudnn" and not torch.backends.cudnn.is_available():
        return "cuDNN is not installed"
    if backend in ("flash", "cudnn") and capability < (8, 0):
        return f"it needs a GPU of compute capability 8.0, and this one has {'.'.join(map(str, capability))}"
    return ""


@contextmanager
def attending(backend: str, device: str) -> Iterator[None]:
    """Inside the `with` block, attention is computed by this kernel: one of BACKENDS, or AUTO for the fastest there is.

    The choice is torch's and holds for the whole process. Raises Refused where the device does not have the kernel, or
    where the kernel cannot compute what is asked of it.
    """
    reason = missing(backend, device)
    if reason:
        raise _refused(backend, f"{reason}.")
    if backend == AUTO:
        if torch.device(device).type == "cuda":  # for good: it changes nothing but which is tried first
            order = [int(BACKENDS[name]) for name in FASTEST_FIRST]
            others = [one for one in torch._C._get_sdp_priority_order() if one not in order]
            torch._C._set_sdp_priority_order([*order, *others])
        yield
        return
    try:
        with sdpa_kernel(BACKENDS[backend]):
            yield
    except RuntimeError as error:
        if not str(error).startswith(NONE_FITS):
            raise
        raise _refused(backend, "it cannot compute the attention of this model as it is used here.") from error


def _refused(backend: str, what: str) -> Refused:
    fix = f"Choose {AUTO}, which takes the fastest that can."
    return Refused(Problem("no-attention-backend", f"attention backend {backend}", what, fix))
