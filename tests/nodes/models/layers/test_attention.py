"""Which kernel computes attention: that a choice is what runs, changes nothing, and is refused where it is missing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend
from torch.profiler import ProfilerActivity, profile

from graph_runtime.problem import Refused
from nodes.models.layers.attention import AUTO, BACKENDS, attend, attending, missing

FLASH, MATH = "aten::_scaled_dot_product_flash_attention_for_cpu", "aten::_scaled_dot_product_attention_math"


def drawn(d: int = 16, heads: int = 4, shared: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    return tuple(torch.randn(2, h, 24, d, generator=g) for h in (heads, shared, shared))  # type: ignore[return-value]


def ran(backend: str) -> tuple[set[str], Tensor]:
    """The kernels that ran, and what came out."""
    q, k, v = drawn()
    with attending(backend, "cpu"), profile(activities=[ProfilerActivity.CPU]) as seen:
        out = attend(q, k, v)
    return {event.key for event in seen.key_averages()} & {FLASH, MATH}, out


def test_the_kernel_that_was_chosen_is_the_one_that_runs() -> None:
    assert ran("flash")[0] == {FLASH}
    assert ran("math")[0] == {MATH}
    assert ran(AUTO)[0] == {FLASH}


def test_every_kernel_gives_the_same() -> None:
    expected = ran(AUTO)[1]
    for backend in BACKENDS:
        if not missing(backend, "cpu"):
            torch.testing.assert_close(ran(backend)[1], expected, rtol=0, atol=1e-6)


def test_the_choice_ends_with_the_block() -> None:
    before = torch.backends.cuda.flash_sdp_enabled()
    with attending("math", "cpu"):
        assert not torch.backends.cuda.flash_sdp_enabled()
    assert torch.backends.cuda.flash_sdp_enabled() == before
    assert ran(AUTO)[0] == {FLASH}


@pytest.mark.parametrize("backend", ["cudnn", "memory-efficient"])
def test_a_kernel_of_gpus_is_refused_on_the_cpu(backend: str) -> None:
    with pytest.raises(Refused) as refused, attending(backend, "cpu"):
        pass
    [problem] = refused.value.problems
    assert problem.code == "no-attention-backend" and "cpu" in problem.what and AUTO in problem.fix


def test_what_a_kernel_cannot_compute_is_refused_and_other_errors_pass() -> None:
    q, k, v = (one.double() for one in drawn())
    with pytest.raises(Refused) as refused, attending("flash", "cpu"):
        attend(q, k, v, torch.zeros(2, 1, 24, 24, dtype=torch.double).requires_grad_())
    assert "cannot compute" in refused.value.problems[0].what
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), attending("flash", "cpu"):
        torch.zeros(2, 3) @ torch.zeros(2, 3)


def test_a_scale_may_be_a_tensor() -> None:
    q, k, v = drawn(shared=2)
    torch.testing.assert_close(attend(q, k, v, scale=torch.tensor(0.37)), attend(q, k, v, scale=0.37))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU: its kernels are not on the CPU")
@pytest.mark.parametrize("backend", [AUTO, *BACKENDS])
def test_on_a_gpu_every_kernel_there_is_gives_the_same(backend: str) -> None:
    if missing(backend, "cuda"):
        pytest.skip(missing(backend, "cuda"))
    q, k, v = (one.to("cuda", torch.bfloat16) for one in drawn(d=64))
    with attending(backend, "cuda"):
        out = attend(q, k, v)
    torch.testing.assert_close(out.cpu().float(), attend(*(one.cpu().float() for one in (q, k, v))), rtol=0, atol=2e-2)


def test_the_names_are_torch_s() -> None:
    assert set(BACKENDS.values()) <= set(SDPBackend.__members__.values())
