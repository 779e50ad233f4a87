"""Compiled blocks: how many graphs there are, that they give what blocks give, and that nobody waits for them."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nodes.models.layers.adapted import AdaptedLinear, adaptable, adapted
from nodes.models.layers.attention import AUTO, attending
from nodes.models.layers.blocks import blocks_of
from nodes.models.layers.compiled import ONE_AT_A_TIME, Compiled, using
from nodes.models.layers.lowrank import LowRank, attached
from nodes.models.sampling.loop import sample, visited
from nodes.models.sampling.noise import noise
from nodes.models.sampling.solvers import SOLVERS

from .. import checkpoints as made
from ..families import EXAMPLES, Example

SIGMAS = [1.0, 0.6, 0.2, 0.0]
PROMPTS = (5, 9, 12, 17, 30)  # tokens
SIZES = ((8, 8), (12, 6), (4, 16))  # cells


class Graphs:
    """A compiler that runs graphs as they were traced and counts them, and how often they ran."""

    def __init__(self) -> None:
        self.made, self.ran = 0, 0

    def __call__(self, module: Any, inputs: Any) -> Callable[..., Any]:
        self.made += 1

        def run(*args: Any) -> Any:
            self.ran += 1
            return module.forward(*args)

        return run


@pytest.fixture(params=EXAMPLES)
def family(request: pytest.FixtureRequest) -> tuple[Example, Any]:
    return loaded(request.param)


@pytest.fixture
def one() -> tuple[Example, Any]:
    """A family with one kind of block: what is the same for all is tried there."""
    return loaded("lumina")


def loaded(name: str) -> tuple[Example, Any]:
    example = EXAMPLES[name]
    net = example.family.transformer.Transformer(example.config)
    state = made.drawn(net)
    for name in state:
        if name in ("final_linear.weight", "final_layer.linear.weight"):
            state[name] = state[name] * 0.01
    net.load_state_dict(state)
    return example, net.eval().requires_grad_(False)


def lora(net: nn.Module, rank: int, seed: int, every: int = 1) -> LowRank:
    """A LoRA for one of `every` Linears, some of it for the last rows alone."""
    g = torch.Generator().manual_seed(seed)
    changes = LowRank()
    names = [name for name, one in net.named_modules() if isinstance(one, nn.Linear)]
    for number, name in enumerate(names[::every]):
        linear = net.get_submodule(name)
        start = linear.out_features // 2 if number % 3 == 2 else 0
        down = torch.randn(rank, linear.in_features, generator=g) * linear.in_features**-0.5
        changes.add(name, start, down, torch.randn(linear.out_features - start, rank, generator=g) * 0.05)
    return changes


def painted(family: tuple[Example, Any], tokens: int = 12, size: tuple[int, int] = (8, 8), seed: int = 1) -> Tensor:
    example, net = family
    shape = (1, example.config.latent_channels, *size)
    told = example.told(1, tokens)
    if "mask" in told:
        told["mask"] = torch.ones_like(told["mask"])
    velocity = example.family.transformer.velocity(net, told, shape, visited(SOLVERS["euler"], SIGMAS))
    *_, last = sample(velocity, noise(shape, seed), SIGMAS, SOLVERS["euler"])
    return last.x


@contextmanager
def hooked(net: nn.Module, loras: list[tuple[LowRank, float]]) -> Iterator[None]:
    """The LoRAs as they are without a compiler."""
    if not loras:
        yield
        return
    with attached(net, *loras[0]), hooked(net, loras[1:]):
        yield


def close(a: Tensor, b: Tensor) -> bool:
    return float((a - b).norm() / b.norm()) < 1e-5


def test_one_graph_for_each_kind_of_block(family: tuple[Example, Any]) -> None:
    """Five prompts, three sizes and two LoRAs, of other ranks, strengths and places, one after the other."""
    _, net = family
    graphs = Graphs()
    kinds = len({type(block) for blocks in blocks_of(net) for block in blocks})
    loras = [[(lora(net, 4, 1), 0.8)], [(lora(net, 11, 2, every=2), -0.5), (lora(net, 1, 3, every=3), 1.5)]]
    calls = 0
    cases = itertools.product(enumerate(PROMPTS), SIZES, loras)
    for number, ((seed, tokens), size, changes) in enumerate(cases):
        with hooked(net, changes):
            expected = painted(family, tokens, size, seed)
        with using(net, changes, backend=graphs) as held:
            result = painted(family, tokens, size, seed)
        assert close(result, expected), (tokens, size)
        assert held.compiled == (held.calls if number else 0), held.failed
        calls += held.compiled
        held.wait()
    assert not held.failed and not held.wanted
    assert graphs.made == len(held.ready) == kinds
    assert graphs.ran == calls + kinds, "each ran once when it was made"


def test_without_a_lora_there_is_one_more_and_no_other_after_it(one: tuple[Example, Any]) -> None:
    _, net = one
    graphs = Graphs()
    kinds = len({type(block) for blocks in blocks_of(net) for block in blocks})
    changes = [(lora(net, 4, 1), 0.8)]
    plain = painted(one)
    for number, loras in enumerate(([], changes, [], changes, [], changes)):
        with using(net, loras, backend=graphs) as held:  # type: ignore[arg-type]
            result = painted(one)
        held.wait()
        assert (held.compiled == held.calls) == (number > 1)
        assert close(result, plain) == (not loras)
    assert graphs.made == 2 * kinds
    assert torch.equal(painted(one), plain), "nothing is left of it"


def test_the_first_run_compiles_nothing_and_a_compiler_at_work_is_not_waited_for(one: tuple[Example, Any]) -> None:
    _, net = one
    begun, go_on = threading.Event(), threading.Event()
    threads = set()

    def slow(module: Any, inputs: Any) -> Any:
        threads.add(threading.current_thread())
        begun.set()
        assert go_on.wait(900)
        return module.forward

    expected = painted(one)
    with using(net, [], backend=slow) as held:
        assert torch.equal(painted(one), expected)
        assert not begun.is_set() and held.thread is None
    assert begun.wait(900)
    with using(net, [], backend=slow) as held:  # while it is being compiled
        assert torch.equal(painted(one), expected)
        assert held.compiled == 0
    go_on.set()
    held.wait()
    with using(net, [], backend=slow) as held:
        assert close(painted(one), expected)
        assert held.compiled == held.calls > 0
    assert threading.current_thread() not in threads


def test_what_cannot_be_compiled_runs_as_it_is(one: tuple[Example, Any]) -> None:
    _, net = one
    tried = Counter[str]()

    def broken(module: Any, inputs: Any) -> Any:
        tried["compiled"] += 1
        raise ValueError("no compiler here")

    expected = painted(one)
    for _ in range(4):
        with using(net, [], backend=broken) as held:
            assert torch.equal(painted(one), expected)
        held.wait()
    assert "no compiler here" in held.told() and not held.ready
    assert tried["compiled"] == len(held.failed), "once for each"


def test_several_pictures_at_once_are_a_structure_of_their_own(one: tuple[Example, Any]) -> None:
    example, net = one
    graphs = Graphs()
    kinds = len({type(block) for blocks in blocks_of(net) for block in blocks})
    for batch in (1, 2, 3, 5):
        shape = (batch, example.config.latent_channels, 8, 8)
        told = example.told(1, 12)
        velocity = example.family.transformer.velocity(net, told, shape, [1.0])
        x = noise(shape, 5)
        expected = velocity(x, 1.0)
        with using(net, [], backend=graphs) as held:
            assert close(velocity(x, 1.0), expected)
        held.wait()
    assert held.compiled == held.calls and graphs.made == 2 * kinds


def test_a_chosen_attention_kernel_is_the_one_in_the_graph(one: tuple[Example, Any]) -> None:
    _, net = one
    expected = painted(one)
    for attention in ("math", AUTO, "math"):
        for _ in range(2):
            with attending(attention, "cpu"), using(net, [], attention, backend="aot_eager") as held:
                assert close(painted(one), expected)
            held.wait()
        assert held.compiled == held.calls, held.failed
    kinds = len({type(block) for blocks in blocks_of(net) for block in blocks})
    assert len(held.ready) == 2 * kinds


def test_blocks_that_are_not_used_compiled_are_as_before(one: tuple[Example, Any]) -> None:
    _, net = one
    with using(net, [], backend=Graphs()) as held:
        painted(one)
    held.wait()
    assert all(blocks.compiled is None for blocks in blocks_of(net))
    names = set(net.state_dict())
    assert "compiled" not in names and all("beside" not in name for name in names)
    painted(one)
    assert not ONE_AT_A_TIME.locked()


def test_products_beside_a_linear_are_those_of_hooks() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 9), nn.GELU(), nn.Linear(9, 4))
    changes = [(lora(net, 3, 1), 0.7), (lora(net, 10, 2, every=2), -1.2)]
    x = torch.randn(2, 5, 6)
    plain = net(x)
    with hooked(net, changes):
        expected = net(x)
    adaptable(net)
    with adapted(net, changes):
        torch.testing.assert_close(net(x), expected)
        ranks = [one.beside.down.shape[0] for one in net if isinstance(one, AdaptedLinear) and one.beside]
    assert ranks == [16, 8]
    assert torch.equal(net(x), plain)


@pytest.mark.slow
def test_the_real_compiler_gives_what_blocks_give(family: tuple[Example, Any]) -> None:
    _, net = family
    changes = [(lora(net, 4, 1), 0.8)]
    for loras in ([], changes):
        with hooked(net, loras):  # type: ignore[arg-type]
            expected = {size: painted(family, size=size) for size in SIZES}
        held: Compiled
        for number, size in enumerate(SIZES):
            with using(net, loras) as held:  # type: ignore[arg-type]
                assert close(painted(family, size=size), expected[size])
            held.wait()
            assert held.compiled == (held.calls if number else 0), held.failed
