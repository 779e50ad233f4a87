from __future__ import annotations

import time
from dataclasses import replace

import pytest
from arithmetic import DEFS, graph
from hypothesis import given
from hypothesis import strategies as st

from graph_runtime.graph import OUTER, Graph, Join, Step
from graph_runtime.keys import joined, step_keys, volatile
from graph_runtime.node import definition, node
from graph_runtime.problem import Problem, Refused


def identity(kind: str, name: str) -> str:
    return f"content of {name}"


def key(*steps: Step, **more: object) -> str:
    """The key of the last of some steps called s0, s1, …"""
    made = Graph({f"s{i}": step for i, step in enumerate(steps)})
    return step_keys(made, DEFS, identity, **more)[f"s{len(steps) - 1}"]  # type: ignore[arg-type]


def test_20_and_20_point_0_of_a_float_are_one_key():
    assert key(Step("math/number", {"value": 20})) == key(Step("math/number", {"value": 20.0}))
    assert key(Step("math/whole", {"value": 20})) == key(Step("math/whole", {"value": 20.0}))
    assert key(Step("math/number", {"value": 20})) != key(Step("math/number", {"value": 21}))
    assert key(Step("math/add", {"a": 1})) == key(Step("math/add", {"a": 1.0}))


def test_values_of_a_wire_for_anything_keep_their_type():
    assert len({key(Step("math/any", {"value": one})) for one in (1, 1.0, True, "1", [1], ["1"], {"1": 1})}) == 7


def test_naming_the_default_changes_nothing():
    assert key(Step("math/add", {"a": 1.0})) == key(Step("math/add", {"plus": 0, "b": None, "a": 1.0}))


def test_kind_version_source_purity_and_salt_are_in_the_key():
    step = Step("math/number", {"value": 1})
    changed = [
        step_keys(Graph({"s": step}), {step.kind: one}, identity)["s"]
        for one in (
            DEFS[step.kind],
            replace(DEFS[step.kind], version=2),
            replace(DEFS[step.kind], source_hash="other"),
            replace(DEFS[step.kind], purity="seeded"),
        )
    ]
    assert len({*changed, key(step, salt="cuda")}) == 5
    assert key(Step("math/number", {"value": 1})) != key(Step("math/whole", {"value": 1}))


def test_parents_enter_by_key_and_output():
    a, b = Step("math/divide", {"a": 7}), Step("math/divide", {"a": 8})
    keys = {
        key(a, Step("math/twice", {"a": Join("s0", "whole")})),
        key(a, Step("math/twice", {"a": Join("s0", "rest")})),
        key(b, Step("math/twice", {"a": Join("s0", "whole")})),
    }
    assert len(keys) == 3


def test_the_order_of_several_joins_matters_and_one_join_is_a_list_of_one():
    a, b = Step("math/number", {"value": 1}), Step("math/number", {"value": 2})
    ab, ba = [Join("s0", "float"), Join("s1", "float")], [Join("s1", "float"), Join("s0", "float")]
    assert key(a, b, Step("math/total", {"values": ab})) != key(a, b, Step("math/total", {"values": ba}))
    assert key(a, Step("math/total", {"values": Join("s0", "float")})) == key(
        a, Step("math/total", {"values": [Join("s0", "float")]})
    )


def test_a_file_enters_by_its_content():
    step = Step("math/file", {"name": "a.txt"})

    def with_content(**content: str) -> str:
        return step_keys(Graph({"s": step}), DEFS, lambda kind, name: content[name.partition(".")[0]])["s"]

    assert with_content(a="one") != with_content(a="two")
    assert with_content(a="one") == step_keys(
        Graph({"s": Step("math/file", {"name": "b.txt"})}), DEFS, lambda kind, name: "one"
    )["s"]  # fmt: skip


def test_every_missing_file_is_named_at_its_step():
    def gone(kind: str, name: str) -> str:
        raise Refused(Problem("no-file", name, f"there is no {kind} {name}.", "Choose another."))

    made = graph(a=Step("math/file", {"name": "a"}), b=Step("math/file", {"name": "b"}), c=Step("math/file"))
    with pytest.raises(Refused) as refused:
        step_keys(made, DEFS, gone)
    assert [(one.step, one.field) for one in refused.value.problems] == [("a", "name"), ("b", "name")]


def test_a_file_named_over_a_wire_is_never_kept():
    made = graph(t=Step("math/any", {"value": "x"}), f=Step("math/file", {"name": Join("t", "any")}))
    assert volatile(step_keys(made, DEFS, identity)["f"])


def test_impure_steps_and_all_after_them_have_keys_of_one_run():
    made = graph(
        r=Step("math/random"), s=Step("math/random"), a=Step("math/add", {"a": Join("r", "float")}),
        seeded=Step("math/seeded", {"seed": 3}),
    )  # fmt: skip
    one, two = (step_keys(made, DEFS, identity, run=run) for run in ("one", "two"))
    assert {id: volatile(key) for id, key in one.items()} == {"r": True, "s": True, "a": True, "seeded": False}
    assert one["r"] != one["s"]
    assert not {one[id] for id in "rsa"} & {two[id] for id in "rsa"}
    assert one["seeded"] == two["seeded"] != key(Step("math/seeded", {"seed": 4}))


def test_what_writes_the_workflow_into_its_result_stands_for_the_steps_it_was_made_by():
    """And for nothing else: not for steps aside, and what is made from its result is not told."""

    @node("math/write", document=True)
    def write(a: float) -> float:
        """A file with the workflow in it."""
        return a

    known = definition(write)
    assert known is not None
    defs = DEFS | {known.kind: known}

    def keys(one: str = "n", end: str = "w", **aside: Step) -> dict[str, str]:
        steps = {one: Step("math/number", {"value": 2.0}), "s": Step("math/add", {"a": Join(one, "float")})}
        return step_keys(Graph({**aside, **steps, end: Step("math/write", {"a": Join("s", "float")})}), defs, identity)

    first = keys()
    assert keys()["w"] == keys(aside=Step("math/number"))["w"] == first["w"]
    renamed = keys("m")
    assert renamed["w"] != first["w"] and renamed["s"] == first["s"] and renamed["m"] == first["n"]
    assert keys(end="v")["v"] != first["w"]


def test_inside_an_expansion_the_outer_input_stands_for_its_source():
    outside = key(Step("math/number", {"value": 1}))
    inside = graph(s=Step("math/add", {"a": Join(OUTER, "x")}))
    direct = key(Step("math/number", {"value": 1}), Step("math/add", {"a": Join("s0", "float")}))
    assert step_keys(inside, DEFS, identity, outer={"x": joined(outside, "float")})["s"] == direct


values = st.floats(allow_nan=False, allow_infinity=False)


@given(st.data())
def test_names_and_order_of_steps_never_matter(data: st.DataObject):
    size = data.draw(st.integers(1, 12))
    shapes = [
        (data.draw(st.integers(0, i - 1)) if i else None, data.draw(st.integers(0, 2)), data.draw(st.booleans()))
        for i in range(size)
    ]

    def build(names: list[str], order: list[int]) -> Graph:
        steps = {}
        for i in order:
            source, plus, named = shapes[i]
            inputs: dict[str, object] = {"plus": plus} if named or plus else {}
            inputs["a"] = 1.0 if source is None else Join(names[source], "float")
            steps[names[i]] = Step("math/add", dict(sorted(inputs.items(), reverse=named)))
        return Graph(steps)

    plain = step_keys(build([str(i) for i in range(size)], list(range(size))), DEFS, identity)
    names = data.draw(st.lists(st.text(min_size=1), min_size=size, max_size=size, unique=True))
    other = step_keys(build(names, data.draw(st.permutations(range(size)))), DEFS, identity)
    assert [plain[str(i)] for i in range(size)] == [other[name] for name in names]

    def unfolded(i: int) -> tuple[object, ...]:
        source, plus, _ = shapes[i]
        return (plus, None if source is None else unfolded(source))

    same = {(i, j) for i in range(size) for j in range(size) if plain[str(i)] == plain[str(j)]}
    assert same == {(i, j) for i in range(size) for j in range(size) if unfolded(i) == unfolded(j)}


@given(st.lists(st.text() | values | st.integers() | st.booleans() | st.none(), max_size=3), st.data())
def test_different_values_have_different_keys(first: list[object], data: st.DataObject):
    second = data.draw(st.lists(st.text() | values | st.integers() | st.booleans() | st.none(), max_size=3))
    same = ascii(first) == ascii(second)
    assert (key(Step("math/any", {"value": first})) == key(Step("math/any", {"value": second}))) == same


@pytest.mark.parametrize("size", [1_600, 10_000])
def test_a_long_chain_takes_time_in_proportion(size: int):
    steps = {f"s{i}": Step("math/add", {"a": Join(f"s{i - 1}", "float"), "plus": i}) for i in range(size)}
    steps["s0"] = Step("math/number")
    made = Graph(steps)
    best = min(_seconds(made) for _ in range(3))
    assert best < size * 60e-6  # five microseconds a step on an idle machine


def _seconds(made: Graph) -> float:
    began = time.process_time()
    step_keys(made, DEFS, identity)
    return time.process_time() - began
