from __future__ import annotations

import time
from typing import Any

import pytest
from arithmetic import DEFS, graph
from hypothesis import given
from hypothesis import strategies as st

from graph_runtime.graph import Graph, Join, Step, in_order, input_from_json
from graph_runtime.validate import MAX_STEPS, blocking, validate


def codes(made: Graph) -> dict[str, str]:
    return {one.place: one.code for one in validate(made, DEFS)}


def test_a_sound_graph_has_no_problems():
    made = graph(
        a=Step("math/number", {"value": 1}),
        b=Step("math/add", {"a": Join("a", "float"), "b": None, "plus": 3}),
        c=Step("math/total", {"values": [Join("a", "float"), Join("b", "float"), 4.0]}),
        d=Step("math/show", {"value": Join("c", "float")}),
    )
    assert validate(made, DEFS) == []


def test_all_problems_are_reported_at_once():
    made = graph(
        "p", "nobody",
        unknown=Step("math/nmber"),
        missing=Step("math/add"),
        mistyped=Step("math/first", {"values": Join("text", "float")}),
        text=Step("math/fail", {"a": 1.0, "why": 7}),
        range=Step("math/whole", {"value": 2_000_000}),
        choice=Step("math/choose", {"side": "lefft", "left": 1.0, "right": 2.0}),
        infinite=Step("math/number", {"value": float("inf")}),
        boolean=Step("math/number", {"value": True}),
        dangling=Step("math/add", {"a": Join("gone", "float")}),
        output=Step("math/add", {"a": Join("text", "flot")}),
        extra=Step("math/number", {"vaule": 1}),
        several=Step("math/add", {"a": [Join("text", "float"), Join("text", "float")]}),
        p=Step("math/add", {"a": Join("q", "float")}),
        q=Step("math/add", {"a": Join("p", "float")}),
    )  # fmt: skip
    assert codes(made) == {
        "unknown": "unknown-node",
        "missing.a": "missing-wire",
        "mistyped.values": "wrong-type",
        "text.why": "wrong-value",
        "range.value": "out-of-range",
        "choice.side": "unknown-choice",
        "infinite.value": "not-finite",
        "boolean.value": "wrong-value",
        "dangling.a": "unknown-step",
        "output.a": "unknown-output",
        "extra.vaule": "unknown-input",
        "several.a": "too-many",
        "targets": "unknown-target",
        "p": "cycle",
    }


def test_a_problem_says_what_came_what_was_wanted_and_what_to_do():
    made = graph(t=Step("math/large"), add=Step("math/add", {"a": Join("t", "tensor")}), p=Step("math/nmber"))
    wrong, unknown = validate(made, DEFS)[:2]
    assert str(wrong) == (
        "add.a: takes FLOAT, but t.tensor gives TENSOR.\n    Put a node between them that turns TENSOR into FLOAT."
    )
    assert (wrong.step, wrong.field) == ("add", "a")
    assert unknown.fix.startswith("Did you mean 'math/number'")


def test_a_cycle_is_shown_as_a_path():
    (problem,) = validate(
        graph(
            "p", p=Step("math/add", {"a": Join("q", "float")}), q=Step("math/add", {"a": Join("p", "float")})
        ), DEFS
    )  # fmt: skip
    assert problem.what == "these steps wait for each other: p → q → p."


def test_a_step_joined_to_itself_is_a_cycle():
    (problem,) = validate(graph("p", p=Step("math/add", {"a": Join("p", "float")})), DEFS)
    assert "p → p" in problem.what


@pytest.mark.parametrize("size", [1_000, 10_000])
def test_long_cycles_and_long_chains_are_walked_without_recursion(size: int):
    steps = {f"s{i}": Step("math/add", {"a": Join(f"s{i - 1}", "float")}) for i in range(size)}
    steps["s0"] = Step("math/number", {"value": 1.0})
    assert validate(Graph(steps, (f"s{size - 1}",)), DEFS) == []
    steps["s0"] = Step("math/add", {"a": Join(f"s{size - 1}", "float")})
    (problem,) = validate(Graph(steps, ("s0",)), DEFS)
    assert problem.code == "cycle" and f"({size - 12:,} more)" in problem.what


def test_an_unknown_pack_is_not_taken_for_a_spelling_mistake():
    problem = validate(graph("a", a=Step("impact/detailer_of_faces")), DEFS)[0]
    assert "Install the pack 'impact'" in problem.fix


def test_a_graph_that_gives_nothing_is_a_problem():
    assert [one.code for one in validate(graph(a=Step("math/number")), DEFS)] == ["no-output"]


def test_too_many_steps_are_refused_and_just_enough_are_not():
    steps = {str(i): Step("math/number") for i in range(MAX_STEPS)}
    assert validate(Graph(steps, ("0",)), DEFS) == []
    assert [one.code for one in validate(Graph(steps | {"one more": Step("math/number")}, ("0",)), DEFS)] == [
        "too-many-steps"
    ]


def test_a_problem_in_a_step_that_no_target_needs_does_not_block():
    made = graph("a", a=Step("math/number"), aside=Step("math/add"), unknown=Step("no/such"))
    problems = validate(made, DEFS)
    assert {one.step for one in problems} == {"aside", "unknown"}
    assert blocking(made, problems, in_order(made, made.targets)) == []
    assert blocking(made, problems, in_order(made, ["aside"])) == problems[:1]


def test_ten_thousand_unknown_nodes_are_named_in_a_second_or_so():
    made = Graph({str(i): Step(f"math/nmber{i}", {"a": Join(f"gone{i}", "x")}) for i in range(10_000)})
    began = time.process_time()
    assert len(validate(made, DEFS)) >= 20_000
    assert time.process_time() - began < 4


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
names = st.sampled_from(["a", "b", "value", "values", "float", "int", "side", "upto", "by", "name", "limit", "x", ""])
joins = st.builds(lambda step, output: {"join": [step, output]}, names, names)
values = st.recursive(
    scalars | joins, lambda v: st.lists(v, max_size=3) | st.dictionaries(names, v, max_size=2), max_leaves=4
)
kinds = st.sampled_from([*DEFS, "no/such", "", "x"])


@given(
    st.dictionaries(names, st.tuples(kinds, st.dictionaries(names, values, max_size=4)), max_size=6),
    st.lists(names, max_size=2),
)
def test_it_never_raises_whatever_the_inputs_hold(steps: dict[str, Any], targets: list[str]):
    made = Graph(
        {id: Step(kind, {n: input_from_json(v) for n, v in given.items()}) for id, (kind, given) in steps.items()},
        tuple(targets),
    )
    for problem in validate(made, DEFS):
        assert problem.code and problem.what and problem.fix and len(problem.what) < 1000
