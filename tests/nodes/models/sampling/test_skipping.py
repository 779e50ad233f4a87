"""What is skipped, by which rule, and what stands in for it; on all families, in one forward and in two."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from nodes.models.layers.passage import whole
from nodes.models.sampling.guidance import cfg_of
from nodes.models.sampling.loop import sample, visited
from nodes.models.sampling.noise import noise
from nodes.models.sampling.skipping import FirstBlock, Magnitude, Skipping, Skips, Taylor, stretched
from nodes.models.sampling.solvers import SOLVERS

from .. import checkpoints as made
from ..families import EXAMPLES, Example

SIGMAS = [1.0, 0.9, 0.75, 0.7, 0.5, 0.35, 0.3, 0.1, 0.0]
NOTHING: list[Skipping] = [FirstBlock(0.0), Taylor(1), Taylor(5, begin=99), Magnitude((1.0, 1.0), 0.0), Magnitude(None)]


@pytest.fixture(scope="module", params=EXAMPLES)
def family(request: pytest.FixtureRequest) -> tuple[Example, Any]:
    example = EXAMPLES[request.param]
    net = example.family.transformer.Transformer(example.config)
    state = made.drawn(net)
    for name in state:  # velocities of the size of latents, so that nothing runs away over the steps
        if name in ("final_linear.weight", "final_layer.linear.weight"):
            state[name] = state[name] * 0.01
    net.load_state_dict(state)
    return example, net.eval().requires_grad_(False)


def painted(
    family: tuple[Example, Any],
    way: Skipping | None,
    sigmas: list[float] = SIGMAS,
    solver: str = "euler",
    batch: int = 1,
    negative: int = 0,
) -> tuple[Tensor, Skips]:
    """A latent, and what was skipped; `negative` tokens of a negative prompt, for a true CFG."""
    example, net = family
    method, skips = SOLVERS[solver], Skips(way)
    asked = visited(method, sigmas)

    def speak(told: Any, size: Any) -> Any:
        return skips.over(net, example.family.transformer.velocity(net, told, size, asked), len(asked))

    shape = (batch, example.config.latent_channels, 8, 8)
    told = example.told(1, 12)
    v = cfg_of(speak, told, example.told(1, negative), shape, 3.0) if negative else speak(told, shape)
    *_, last = sample(v, noise(shape, 5), sigmas, method)
    return last.x, skips


def skipped(skips: Skips) -> list[int]:
    return [state.skipped for state in skips.states]


@pytest.mark.parametrize("way", NOTHING, ids=str)
def test_what_skips_nothing_changes_no_bit(family: tuple[Example, Any], way: Skipping) -> None:
    expected, _ = painted(family, None)
    latent, skips = painted(family, way)
    assert skipped(skips) == [0] and skips.states[0].calls == len(SIGMAS) - 1
    assert torch.equal(latent, expected)


@pytest.mark.parametrize("solver", ["euler", "heun", "unipc", "lcm"])
def test_a_run_leaves_nothing_behind(family: tuple[Example, Any], solver: str) -> None:
    expected, _ = painted(family, None, solver=solver)
    for way in (FirstBlock(9.0), Taylor(3), Magnitude((1.0, 1.01), 1.0)):
        first, skips = painted(family, way, solver=solver)
        again, _ = painted(family, way, solver=solver)
        assert skipped(skips)[0] > 0 and first.isfinite().all()
        assert torch.equal(first, again) and not torch.equal(first, expected)
    assert family[1].passage is whole
    assert torch.equal(painted(family, None, solver=solver)[0], expected)


def test_a_higher_threshold_skips_no_less(family: tuple[Example, Any]) -> None:
    first = [sum(skipped(painted(family, FirstBlock(t))[1])) for t in (0.0, 0.02, 0.1, 0.3, 1.0, 100.0)]
    magnitude = [sum(skipped(painted(family, Magnitude((1.0, 1.2), t, most=9))[1])) for t in (0.0, 0.3, 1.0, 100.0)]
    for counts in (first, magnitude):
        assert counts == sorted(counts)
        assert counts[0] == 0 and counts[-1] > counts[0]
    assert first[-1] == len(SIGMAS) - 2  # all but the first


def test_with_a_true_cfg_each_forward_has_its_own_state(family: tuple[Example, Any]) -> None:
    example, _ = family
    for tokens in (12, 7):  # of as many tokens as the prompt, and of fewer
        together = example.family.name == "lumina" or tokens == 12  # Lumina's texts have a mask, and can be padded
        for way in (FirstBlock(100.0), Taylor(4, begin=2), Magnitude((1.0, 1.0), 1.0, most=2)):
            latent, skips = painted(family, way, negative=tokens)
            assert len(skips.states) == (1 if together else 2) and latent.isfinite().all()
            assert len(set(skipped(skips))) == 1 and skipped(skips)[0] > 0
    plain, _ = painted(family, None, negative=7)
    assert torch.equal(painted(family, FirstBlock(0.0), negative=7)[0], plain)


def test_pictures_of_a_batch_and_a_part_of_the_walk(family: tuple[Example, Any]) -> None:
    for way in (FirstBlock(100.0), Taylor(2, begin=1), Magnitude((1.0, 1.0), 1.0)):
        batch, skips = painted(family, way, batch=2)
        assert skipped(skips)[0] > 0 and batch.isfinite().all()
        part, skips = painted(family, way, sigmas=SIGMAS[4:])
        assert skips.states[0].calls == 4 and part.isfinite().all()


class Steps:
    """A transformer of three blocks, each adding a given number to the tokens, and how often they ran."""

    def __init__(self) -> None:
        self.passage, self.ran, self.adds = whole, 0, [1.0, 2.0, 4.0]

    def walk(self, x: Tensor) -> Iterator[Tensor]:
        for added in self.adds:
            self.ran += 1
            x = x + added
            yield x

    def __call__(self, x: Tensor) -> Tensor:
        return self.passage(x, self.walk(x), lambda tokens: tokens)


def evaluated(way: Skipping, adds: list[list[float]], x: Tensor, sigmas: list[float]) -> tuple[list[Tensor], list[int]]:
    """Results, and blocks that ran, for evaluations in which the blocks add these numbers."""
    net, out, ran = Steps(), [], []
    velocity = Skips(way).over(net, lambda x, sigma: net(x), len(adds))
    for now, sigma in zip(adds, sigmas, strict=True):
        net.adds, net.ran = now, 0
        out.append(velocity(x, sigma))
        ran.append(net.ran)
    return out, ran


def test_the_rest_is_what_it_was_when_it_last_ran() -> None:
    x = torch.ones(1, 3, 2)
    out, ran = evaluated(FirstBlock(0.2), [[1, 2, 4], [1.1, 9, 9], [1.25, 9, 9], [1.3, 0, 0]], x, [1, 0.8, 0.6, 0.4])
    assert ran == [3, 1, 3, 1]  # 1.1 is near 1, 1.25 is not, 1.3 is near 1.25
    for result, expected in zip(out, [8.0, 1 + 1.1 + 6, 1 + 19.25, 1 + 1.3 + 18], strict=True):
        torch.testing.assert_close(result, torch.full_like(x, expected))


def test_the_row_that_changes_most_decides() -> None:
    state = FirstBlock(0.2).started(9)
    x = torch.ones(2, 3, 2)
    for change, ran in ((torch.tensor([1.0, 1.0]), 2), (torch.tensor([1.0, 1.5]), 2), (torch.tensor([1.1, 1.5]), 1)):
        seen = []

        def walk(change: Tensor = change, seen: list[int] = seen) -> Iterator[Tensor]:
            for _ in range(2):
                seen.append(1)
                yield x + change[:, None, None]

        state(x, walk(), lambda tokens: tokens)  # type: ignore[arg-type]
        assert len(seen) == ran


def test_a_polynomial_in_sigma_is_continued_exactly_at_uneven_sigmas() -> None:
    sigmas = [1.0, 0.9, 0.75, 0.7, 0.5, 0.45, 0.2, 0.05]
    x = torch.zeros(1, 1, 1)
    out, ran = evaluated(Taylor(4, begin=2, order=1), [[3 * s - 1, 0, 0] for s in sigmas], x, sigmas)
    assert [count > 0 for count in ran] == [True, True, False, True, False, False, False, True]
    torch.testing.assert_close(torch.stack(out).flatten(), 3 * torch.tensor(sigmas) - 1, rtol=0, atol=1e-6)
    held, _ = evaluated(Taylor(4, begin=2, order=0), [[s, 0, 0] for s in sigmas], x, sigmas)
    torch.testing.assert_close(torch.stack(held).flatten()[:3], torch.tensor([1.0, 0.9, 0.9]))


def test_a_second_stage_at_the_same_sigma_takes_the_place_of_the_first() -> None:
    sigmas = [1.0, 0.8, 0.8, 0.6]
    out, _ = evaluated(Taylor(9, begin=3), [[s, 0, 0] for s in (1, 5, 0.8, 99)], torch.zeros(1, 1, 1), sigmas)
    assert all(one.isfinite().all() for one in out)


def test_as_many_are_skipped_in_a_row_as_may_be_after_the_share_that_is_kept() -> None:
    x = torch.zeros(1, 2, 2)
    _, ran = evaluated(Magnitude((1.0,), 1.0, most=2, keep=0.3), [[1, 0, 0]] * 10, x, [1 - i / 10 for i in range(10)])
    assert [count > 0 for count in ran] == [True] * 3 + [False, False, True] * 2 + [False]


def test_the_measured_ratios_are_those_of_sizes() -> None:
    x = torch.zeros(1, 2, 2)
    skips = Skips(Magnitude(None))
    net = Steps()
    velocity = skips.over(net, lambda x, sigma: net(x), 3)
    for size in (2.0, 3.0, 1.5):
        net.adds = [size]
        velocity(x, 0.5)
    assert "1.00000, 1.50000, 0.50000" in skips.told() and "0 of 3" in skips.told()


def test_a_curve_is_stretched_to_the_nearest() -> None:
    assert stretched((1.0, 2.0, 3.0), 5) == (1.0, 1.0, 2.0, 3.0, 3.0)  # a half is rounded to even
    assert stretched((1.0, 2.0), 1) == (2.0,)


def test_descriptions_are_frozen_and_equal_by_content() -> None:
    assert Taylor(3) == Taylor(3) != Taylor(4)
    with pytest.raises(dataclasses.FrozenInstanceError):
        FirstBlock(0.1).threshold = 0.2  # type: ignore[misc]
