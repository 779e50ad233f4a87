from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any

import pytest
from arithmetic import Tensor

from graph_runtime.context import Plan
from graph_runtime.values import Many, as_type, nbytes, summary, value_type


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, "BOOLEAN"), (1, "INT"), (1.5, "FLOAT"), ("x", "STRING"), ([1], "JSON"), ({"a": 1}, "JSON"),
        (Tensor((1.0,)), "TENSOR"), (object(), "ANY"), (None, "ANY"),
    ],
)  # fmt: skip
def test_a_value_has_a_wire_type(value: Any, kind: str):
    assert value_type(value) == kind


def test_a_subclass_of_a_socket_is_of_its_type():
    class Special(Tensor):
        pass

    assert value_type(Special((1.0,))) == "TENSOR"


def test_an_integer_on_a_float_wire_is_a_float():
    assert type(as_type("FLOAT", 1)) is float
    assert type(as_type("INT", 1)) is int and as_type("FLOAT", True) is True


def test_a_value_is_summed_up_in_one_line():
    assert summary(Tensor((1.0,) * 5)) == "5 numbers"
    assert summary(Many([1, 2])) == "2 values, first 1"
    assert summary([1, 2]) == "list of 2"
    assert len(summary("x" * 5000)) <= 120

    class Bad:
        def summary(self) -> str:
            raise RuntimeError

    assert summary(Bad()) == "Bad"


def test_what_says_its_size_is_believed():
    assert nbytes(Tensor((0.0,) * 1000)) >= 8000
    assert nbytes(memoryview(bytes(5000))) >= 5000


def test_containers_count_what_they_hold_once():
    tensor = Tensor((0.0,) * 1000)
    alone = nbytes([tensor])
    assert alone >= 8000
    assert nbytes([tensor, tensor, {"again": tensor}]) < alone + 1000


def test_a_long_list_is_sampled_and_not_underestimated():
    large = [bytes(1000) + bytes([i % 256]) for i in range(100_000)]
    began = time.process_time()
    assert nbytes(large) >= 100_000 * 1000
    assert time.process_time() - began < 0.5


def test_plain_objects_are_looked_into():
    @dataclass
    class Pair:
        left: Any
        right: Any

    assert nbytes(Pair(Tensor((0.0,) * 1000), "x" * 1000)) >= 9000


def test_a_value_that_holds_itself_or_is_very_deep_is_measured():
    loop: list[Any] = []
    loop.append(loop)
    assert nbytes(loop) > 0
    deep: list[Any] = []
    for _ in range(sys.getrecursionlimit() * 2):
        deep = [deep]
    assert nbytes(deep) > 0


def test_a_recipe_counts_as_what_it_is_not_as_what_it_loads():
    class Recipe:
        title = "Flux"

        def key(self) -> str:
            return "k"

        def nbytes(self) -> int:
            return 24 << 30

        def load(self, device: str, plan: Plan) -> None: ...

    assert nbytes(Recipe()) < 10_000
