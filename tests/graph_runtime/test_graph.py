from __future__ import annotations

import pytest
from arithmetic import DEFS
from hypothesis import given
from hypothesis import strategies as st

from graph_runtime.graph import Graph, Join, Step, in_order, input_from_json, input_to_json, wanted_steps
from graph_runtime.problem import Refused


def test_a_graph_comes_back_from_its_json():
    made = Graph(
        {
            "a": Step("math/number", {"value": 2.5}),
            "sum": Step("math/total", {"values": [Join("a", "float"), 1.0, Join("a", "float")]}),
            "b": Step("math/add", {"a": Join("sum", "float"), "b": None}),
        },
        ("b",),
    )
    assert Graph.from_json(made.to_json()) == made


@pytest.mark.parametrize("data", [None, [], 7, {}, {"steps": []}, {"steps": {"a": 1}}, {"steps": {"a": {"kind": 3}}}])
def test_what_is_no_graph_is_refused(data: object):
    with pytest.raises(Refused):
        Graph.from_json(data)


def test_everything_malformed_is_named_at_once():
    with pytest.raises(Refused) as refused:
        Graph.from_json({"steps": {"a": 1, "b": {"kind": "x/y", "inputs": []}}, "targets": [3]})
    assert [one.place for one in refused.value.problems] == ["steps.a", "steps.b", "targets"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_what_only_resembles_a_join_is_kept_as_it_is(value: object):
    assert input_to_json(input_from_json(value)) == value


def test_without_targets_every_output_is_wanted():
    made = Graph({"a": Step("math/number"), "b": Step("math/show"), "c": Step("no/such"), "d": Step("math/show")})
    assert wanted_steps(made, DEFS) == ("b", "d")


@given(st.data())
def test_every_step_comes_after_those_it_is_joined_to(data: st.DataObject):
    size = data.draw(st.integers(1, 30))
    names = data.draw(st.permutations(range(size)))
    steps = {}
    for i in names:
        before = data.draw(st.lists(st.integers(0, i - 1), max_size=3)) if i else []
        steps[str(i)] = Step("math/total", {"values": [Join(str(j), "float") for j in before]})
    starts = data.draw(st.lists(st.sampled_from(sorted(steps)), max_size=4))
    order = in_order(Graph(steps), starts)
    assert len(set(order)) == len(order) and set(starts) <= set(order)
    for place, id in enumerate(order):
        assert {join.step for join in steps[id].inputs["values"]} <= set(order[:place])
    needed = set(starts)
    for _ in steps:
        needed |= {join.step for id in needed for join in steps[id].inputs["values"]}
    assert set(order) == needed


@pytest.mark.parametrize("turned", [False, True])
def test_a_chain_of_ten_thousand_is_put_in_order(turned: bool):
    ids = [f"s{i}" for i in range(10_000)]
    steps = {
        id: Step("math/add", {"a": Join(before, "float")}) for before, id in zip(["none", *ids], ids, strict=False)
    }
    if turned:
        steps = dict(reversed(steps.items()))
    assert in_order(Graph(steps), [ids[-1]]) == ids
