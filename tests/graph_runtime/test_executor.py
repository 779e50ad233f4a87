from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from arithmetic import CALLS, DEFS, Bench, Tensor, graph
from hypothesis import given
from hypothesis import strategies as st

from graph_runtime import events
from graph_runtime.cache import Cache
from graph_runtime.context import Context
from graph_runtime.executor import Executor
from graph_runtime.expansion import MAX_DEPTH
from graph_runtime.graph import Expansion, Graph, Join, Step
from graph_runtime.node import definition, node
from graph_runtime.values import Many


def number(value: float) -> Step:
    return Step("math/number", {"value": value})


def joined(step: str, output: str = "float") -> Join:
    return Join(step, output)


# ── what runs ──


def test_only_what_the_targets_need_is_run():
    bench = Bench()
    made = graph("s", n=number(2), s=Step("math/add", {"a": joined("n"), "plus": 1}), aside=number(5))
    assert bench.value(made) == 3.0
    assert bench.called() == ["number", "add"]


def test_without_targets_the_output_nodes_run():
    bench = Bench()
    result = bench.run(graph(n=number(2), s=Step("math/show", {"value": joined("n")}), aside=number(5)))
    assert result.outputs == {"s": {"float": 2.0}}


def test_a_branch_is_finished_before_the_next_is_begun():
    bench = Bench()
    made = graph(
        "t",
        d=number(4), c=number(3), b=Step("math/add", {"a": joined("d")}), a=Step("math/add", {"a": joined("c")}),
        t=Step("math/add", {"a": joined("a"), "b": joined("b")}),
    )  # fmt: skip
    bench.run(made)
    assert [one.step for one in bench.told(events.Started)] == ["c", "a", "d", "b", "t"]


def test_several_outputs_are_joined_by_name():
    bench = Bench()
    made = graph(
        "t",
        d=Step("math/divide", {"a": 17, "by": 5}),
        t=Step("math/total", {"values": [joined("d", "rest"), joined("d", "whole"), joined("d", "whole")]}),
    )
    assert bench.value(made) == 2 + 3 + 3


def test_a_knob_may_be_fed_by_a_wire_and_is_checked_there_too():
    bench = Bench()
    fed = graph(
        "w",
        n=Step("math/count", {"upto": 3}),
        t=Step("math/total", {"values": joined("n", "int")}),
        w=Step("math/number", {"value": joined("t")}),
    )
    assert bench.value(fed) == 3.0
    wrong = graph("w", n=Step("math/twice", {"a": 1_000_000}), w=Step("math/whole", {"value": joined("n", "int")}))
    result = bench.run(wrong)
    (problem,) = result.problems
    assert (problem.code, problem.place, problem.step) == ("out-of-range", "w.value", "w")


def defined(*functions: object) -> Bench:
    """A bench with these nodes too."""
    bench = Bench()
    bench.executor.defs = DEFS | {found.kind: found for one in functions if (found := definition(one))}
    return bench


@node("math/anything")
def unsaid() -> Any:
    """Says nothing of what it gives."""
    return "seven"


def test_a_value_of_any_type_is_looked_at_where_a_wire_takes_it():
    made = graph("t", u=Step("math/anything"), t=Step("math/twice", {"a": joined("u", "any")}))
    result = defined(unsaid).run(made)
    assert str(result.problems[0]).startswith("t.a: takes INT, but what came is STRING ('seven').")


def test_a_node_that_returns_another_type_than_it_declares_is_named_with_both():
    result = Bench().run(graph("t", liar=Step("math/lies"), t=Step("math/twice", {"a": joined("liar", "int")})))
    (problem,) = result.problems
    assert (problem.code, problem.step) == ("broken-node", "liar")
    assert str(problem).startswith("liar: math/lies promises INT as int, but it returned STRING: 'seven'.")


class Pair(NamedTuple):
    number: float
    several: list[int]


class Child(Tensor):
    """A tensor that can more."""


RETURNS = [
    (float, 1, ""), (float, True, "BOOLEAN: True"), (int, True, "BOOLEAN: True"), (int, 1.0, "FLOAT: 1.0"),
    (bool, 1, "INT: 1"), (str, None, "NoneType: None"), (str | None, None, ""), (Any, object(), ""),
    (int | str, "one", ""), (int | str, 1.5, "FLOAT: 1.5"), (Tensor, Child([1.0]), ""),
    (Tensor, [1.0], "JSON: list of 1"), (Tensor, complex(1), "complex: complex"), (list[int], [1, 2], ""),
    (list[int], [1, "2"], "STRING: '2'"), (Pair, Pair(1.0, [1]), ""), (Pair, Pair(1.0, ["1"]), "STRING: '1'"),
    (Pair, Pair("1", [1]), "FLOAT as number, but it returned STRING: '1'"),
]  # fmt: skip


@pytest.mark.parametrize(("declared", "returned", "said"), RETURNS)
def test_what_is_returned_is_held_against_what_is_declared(declared: Any, returned: Any, said: str):
    """A subclass is what its parents are, an integer is a number, True is neither."""

    def give() -> Any:
        return returned

    give.__annotations__["return"] = declared
    result = defined(node("math/give")(give)).run(graph("g", g=Step("math/give")))
    assert [said in str(problem) for problem in result.problems] == ([True] if said else [])
    assert result.status == ("failed" if said else "succeeded")


def test_what_an_expansion_comes_to_is_held_against_it_too():
    @node("math/opens")
    def opens() -> int:
        """A graph whose end is a text."""
        return Expansion(Graph({"u": Step("math/anything")}), {"int": Join("u", "any")})  # type: ignore[return-value]

    (problem,) = defined(unsaid, opens).run(graph("o", o=Step("math/opens"))).problems
    assert str(problem).startswith("o: math/opens promises INT as int, but it returned STRING: 'seven'.")


def test_an_integer_becomes_a_float_where_one_is_wanted():
    bench = Bench()
    value = bench.value(graph("s", w=Step("math/whole", {"value": 3}), s=Step("math/add", {"a": joined("w", "int")})))
    assert type(value) is float


def test_a_graph_with_problems_is_not_begun():
    bench = Bench()
    result = bench.run(graph("t", n=number(1), t=Step("math/add", {"a": joined("gone")}), u=Step("math/add")))
    assert (result.status, bench.called()) == ("failed", [])
    assert [one.place for one in result.problems] == ["t.a"]
    assert [type(one) for one in bench.events] == [events.RunStarted, events.RunFinished]


def test_problems_in_steps_that_no_target_needs_do_not_stop_a_run():
    assert Bench().value(graph("n", n=number(1), u=Step("math/add"), x=Step("no/such"))) == 1.0


def test_a_missing_file_is_a_problem_of_its_step_before_anything_runs():
    from graph_runtime.problem import Problem, Refused

    bench = Bench()

    def gone(kind: str, name: str) -> str:
        raise Refused(Problem("no-file", name, "it is not there.", "Choose another."))

    bench.executor.file_identity = gone
    result = bench.run(
        graph(
            "s",
            n=number(1),
            f=Step("math/file", {"name": "x"}),
            s=Step("math/add", {"a": joined("n"), "b": joined("f")}),
        )
    )
    assert (result.status, bench.called(), result.problems[0].step) == ("failed", [], "f")


# ── what is kept ──


def test_going_back_to_an_earlier_setting_computes_nothing():
    bench = Bench()
    for value in (0.5, 0.25, 0.5):
        made = graph("s", n=number(1), s=Step("math/add", {"a": joined("n"), "plus": value}))
        assert bench.value(made) == 1 + value
    assert bench.called() == []
    assert bench.told(events.Reused) == [events.Reused("run3", ("s",), "memory")]


def test_only_what_a_change_reaches_is_computed_again():
    bench = Bench()
    for plus in (1, 2):
        bench.run(
            graph(
                "c",
                a=number(1),
                b=Step("math/add", {"a": joined("a")}),
                c=Step("math/add", {"a": joined("b"), "plus": plus}),
            )
        )
    assert bench.called() == ["add"]
    assert bench.told(events.Reused) == [events.Reused("run2", ("b",), "memory")]


def test_equal_steps_are_computed_once():
    bench = Bench()
    made = graph("s", a=number(2), b=number(2.0), s=Step("math/add", {"a": joined("a"), "b": joined("b")}))
    assert bench.value(made) == 4.0
    assert bench.called() == ["number", "add"]
    assert bench.told(events.Reused) == [events.Reused("run1", ("b",), "run")]


@pytest.mark.parametrize("budget", [0, 1 << 20])
def test_equal_steps_are_computed_once_even_if_nothing_is_kept(budget: int):
    bench = Bench(Cache(budget))
    made = graph(
        "t", a=number(2), c=Step("math/add", {"a": joined("a")}), b=number(2.0), d=Step("math/add", {"a": joined("b")}),
        e=Step("math/add", {"a": joined("d"), "plus": 1}),
        t=Step("math/total", {"values": [joined("c"), joined("e"), joined("d")]}),
    )  # fmt: skip
    assert bench.value(made) == 2 + 3 + 2
    assert bench.called() == ["number", "add", "add", "total"]


def test_impure_nodes_and_what_follows_them_are_never_reused():
    bench = Bench()
    made = graph("s", n=number(1), r=Step("math/random"), s=Step("math/add", {"a": joined("r"), "b": joined("n")}))
    for _ in range(2):
        bench.run(made)
        assert "random" in bench.called() and "add" in bench.called()
    assert bench.called() == ["random", "add"]
    assert bench.cache.report().entries == 1


def test_a_seeded_node_is_pure_in_its_seed():
    bench = Bench()
    for seed in (1, 2, 1):
        bench.run(graph("r", r=Step("math/seeded", {"seed": seed})))
    assert bench.called() == []


def test_what_memory_lost_comes_from_disk(tmp_path: Path):
    made = graph("s", n=number(1), s=Step("math/add", {"a": joined("n")}))
    first = Bench(Cache(1 << 20, tmp_path, min_seconds=0))
    first.run(made)
    second = Bench(Cache(1 << 20, tmp_path, min_seconds=0))
    assert second.value(made) == 1.0
    assert second.called() == []
    assert second.told(events.Reused) == [events.Reused("run1", ("s",), "disk")]


def test_a_changed_file_is_read_again():
    bench = Bench()
    made = graph("f", f=Step("math/file", {"name": "a"}))
    bench.run(made)
    bench.run(made)
    assert bench.called() == []
    bench.files["a"] = "changed"
    bench.run(made)
    assert bench.called() == ["file"]


def test_values_are_let_go_when_nobody_wants_them_any_more():
    alive: list[int] = []

    class Held(Cache):
        """Keeps nothing, but looks."""

        def put(self, *given: object, **more: object) -> None:  # type: ignore[override]
            alive.append(sum(task.outputs is not None for task in seen.values()))

    bench = Bench(Held(0))
    steps = {"s0": number(0)} | {f"s{i}": Step("math/add", {"a": joined(f"s{i - 1}"), "plus": i}) for i in range(1, 50)}
    seen: dict[str, object] = {}
    prepared = bench.executor.prepared

    def watched(made: Graph, run: str):  # type: ignore[no-untyped-def]
        scope, targets = prepared(made, run)
        scope.tasks = seen  # type: ignore[assignment]
        return scope, targets

    bench.executor.prepared = watched  # type: ignore[method-assign]
    assert bench.value(Graph(steps, ("s49",))) == sum(range(50))
    assert max(alive) <= 2


# ── lazy wires ──


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_lazy_wire_that_is_declined_is_not_computed(side: str):
    bench = Bench()
    made = graph(
        "c", l=number(1), r=number(2), deep=Step("math/add", {"a": joined("r"), "plus": 1}),
        c=Step("math/choose", {"left": joined("l"), "right": joined("deep"), "side": side}),
    )  # fmt: skip
    assert bench.value(made) == {"left": 1.0, "right": 3.0}[side]
    assert bench.called() == {"left": ["number", "choose"], "right": ["number", "add", "choose"]}[side]


def test_what_a_declined_wire_shares_with_others_is_still_computed():
    bench = Bench()
    made = graph(
        "t", n=number(1), used=Step("math/add", {"a": joined("n"), "plus": 1}),
        not_used=Step("math/fail", {"a": joined("n")}),
        c=Step("math/choose", {"left": joined("used"), "right": joined("not_used")}),
        t=Step("math/add", {"a": joined("c"), "b": joined("n")}),
    )  # fmt: skip
    assert bench.value(made) == 3.0


def test_a_needs_that_raises_is_the_failure_of_its_step():
    @node("math/asks", needs=lambda known: known["no such"])
    def asks(a: float) -> float:
        """Never asked: it has no lazy wires."""
        return a

    bench = Bench()
    defs = {**DEFS, "math/asks": definition(asks)}
    executor = Executor(defs, Cache(0), bench.executor.services, bench.identity)  # type: ignore[arg-type]
    result = executor.run(graph("a", a=Step("math/asks", {"a": 1.0})), "r", bench.events.append, threading.Event())
    assert result.status == "succeeded"


# ── lists ──


def test_what_follows_a_list_runs_once_for_each_value():
    bench = Bench()
    made = graph("t", n=Step("math/count", {"upto": 4}), t=Step("math/twice", {"a": joined("n", "int")}))
    assert bench.value(made) == Many([0, 2, 4, 6])
    assert bench.called() == ["count"] + ["twice"] * 4


def test_a_wire_for_lists_takes_the_whole_list_and_several_wires():
    bench = Bench()
    made = graph(
        "t",
        n=Step("math/count", {"upto": 4}),
        one=number(10),
        t=Step("math/total", {"values": [joined("n", "int"), joined("one"), 0.5]}),
    )
    assert bench.value(made) == 16.5


def test_lists_go_side_by_side_and_the_shorter_repeats_its_last():
    bench = Bench()
    made = graph(
        "s", a=Step("math/count", {"upto": 4}), b=Step("math/count", {"upto": 2}),
        s=Step("math/add", {"a": joined("a", "int"), "b": joined("b", "int")}),
    )  # fmt: skip
    assert bench.value(made) == Many([0.0, 2.0, 3.0, 4.0])


def test_over_an_empty_list_nothing_runs_and_the_result_is_empty():
    bench = Bench()
    made = graph("d", n=Step("math/count", {"upto": 0}), d=Step("math/divide", {"a": joined("n", "int")}))
    assert bench.run(made).outputs == {"d": {"whole": Many(), "rest": Many()}}
    assert bench.called() == ["count"]


def test_lists_made_over_a_list_are_put_end_to_end():
    bench = Bench()
    made = graph("c", n=Step("math/count", {"upto": 4}), c=Step("math/count", {"upto": joined("n", "int")}))
    assert bench.value(made) == Many([0, 0, 1, 0, 1, 2])


def test_a_result_of_a_list_is_reused_as_a_list():
    bench = Bench()
    made = graph("t", n=Step("math/count", {"upto": 3}), t=Step("math/twice", {"a": joined("n", "int")}))
    assert bench.value(made) == bench.value(made) == Many([0, 2, 4])
    assert bench.called() == []


# ── expansions ──


def test_a_while_loop_is_an_expansion_of_itself():
    bench = Bench()
    assert bench.value(graph("w", w=Step("math/while", {"state": 2, "limit": 5}))) == 5
    assert bench.called().count("increment") == 3
    assert [one.step for one in bench.told(events.Started)][:4] == ["w", "w#1.body", "w#1.again", "w#2.body"]


def test_a_loop_may_be_thousands_deep():
    assert Bench().value(graph("w", w=Step("math/while", {"state": 0, "limit": 3_000}))) == 3_000


def test_rounds_that_were_computed_before_are_reused():
    bench = Bench()
    bench.value(graph("w", w=Step("math/while", {"state": 0, "limit": 50})))
    assert bench.value(graph("w", w=Step("math/while", {"state": 0, "limit": 52}))) == 52
    assert bench.called().count("increment") == 2


def test_a_for_each_is_one_step_for_each_value():
    bench = Bench()
    made = graph(
        "f", n=Step("math/count", {"upto": 4}), f=Step("math/for_each", {"values": joined("n", "int"), "plus": 2.5})
    )
    assert bench.value(made) == 0 + 1 + 2 + 3 + 4 * 2.5


@pytest.mark.parametrize("when", [True, False])
def test_a_condition_computes_one_of_its_branches(when: bool):
    bench = Bench()
    made = graph(
        "i", t=Step("math/true", {"value": when}), y=number(1), n=number(2), n2=Step("math/add", {"a": joined("n")}),
        i=Step("math/if", {"when": joined("t", "boolean"), "then": joined("y"), "otherwise": joined("n2")}),
    )  # fmt: skip
    assert bench.value(made) == (1.0 if when else 2.0)
    assert bench.called() == (["number"] if when else ["number", "add"])


def test_a_loop_over_a_list_is_run_for_each_value():
    bench = Bench()
    made = graph(
        "w", n=Step("math/count", {"upto": 3}), w=Step("math/while", {"state": joined("n", "int"), "limit": 4})
    )
    assert bench.value(made) == Many([4, 4, 4])


def test_a_loop_without_an_end_is_a_problem():
    began = time.process_time()
    result = Bench().run(graph("l", l=Step("math/for_ever", {"state": 0})))
    assert [one.code for one in result.problems] == ["too-deep"]
    assert f"{MAX_DEPTH:,}" in result.problems[0].what
    assert time.process_time() - began < 60


def test_a_step_that_expands_into_itself_is_a_problem():
    result = Bench().run(graph("l", l=Step("math/itself", {"state": 0})))
    assert [one.code for one in result.problems] == ["endless"]


def test_an_expansion_may_hold_values_that_are_no_json():
    bench = Bench()
    made = graph("h", t=Step("math/large", {"size": 10}), h=Step("math/hold", {"value": joined("t", "tensor")}))
    assert bench.value(made) == 1.0
    bench.run(graph("h", t=Step("math/large", {"size": 11}), h=Step("math/hold", {"value": joined("t", "tensor")})))
    assert bench.called() == ["large", "first"]


def test_what_expands_into_something_impure_is_not_kept():
    bench = Bench()
    made = graph("s", g=Step("math/gamble", {"a": 1.0}), s=Step("math/add", {"a": joined("g")}))
    values = {bench.value(made) for _ in range(2)}
    assert bench.called() == ["random", "add"] and len(values) == 1
    assert bench.cache.report().entries == 0


def test_a_failure_inside_an_expansion_names_the_step_on_the_canvas():
    @node("math/breaks")
    def breaks(a: float) -> float:
        """Expands into a failure."""
        from graph_runtime.graph import OUTER, Expansion

        return Expansion(Graph({"f": Step("math/fail", {"a": Join(OUTER, "a")})}), {"float": Join("f", "float")})  # type: ignore[return-value]

    bench = Bench()
    executor = Executor({**DEFS, "math/breaks": definition(breaks)}, Cache(0), bench.executor.services, bench.identity)  # type: ignore[dict-item]
    result = executor.run(graph("b", b=Step("math/breaks", {"a": 1.0})), "r", bench.events.append, threading.Event())
    assert [(one.step, one.place) for one in result.problems] == [("b", "b#1.f")]
    assert bench.told(events.Skipped) == [events.Skipped("r", "b", "b#1.f")]


# ── failures and cancelling ──


def test_a_failure_carries_step_kind_inputs_and_traceback():
    bench = Bench()
    result = bench.run(graph("f", n=number(1.5), f=Step("math/fail", {"a": joined("n"), "why": "no luck"})))
    (failed,) = bench.told(events.Failed)
    assert (failed.step, failed.kind, failed.inputs) == ("f", "math/fail", {"a": "1.5", "why": "'no luck'"})
    assert "raise ArithmeticError(why)" in failed.traceback and "running.py" not in failed.traceback
    assert result.problems == failed.problems
    assert "ArithmeticError: no luck" in failed.problems[0].what


def test_independent_branches_go_on_and_what_needed_the_failed_is_skipped():
    bench = Bench()
    made = graph(
        "end", "other",
        f=Step("math/fail", {"a": 1.0}), mid=Step("math/add", {"a": joined("f")}), never=number(3),
        end=Step("math/add", {"a": joined("mid"), "b": joined("never")}), other=Step("math/add", {"a": 2.0}),
    )  # fmt: skip
    result = bench.run(made)
    assert result.status == "failed" and result.outputs == {"other": {"float": 2.0}}
    assert [(one.step, one.because) for one in bench.told(events.Skipped)] == [("mid", "f"), ("end", "f")]
    assert bench.called() == ["fail", "add"]


def test_nothing_of_a_failed_call_is_kept_alive():
    import gc
    import weakref

    from arithmetic import Tensor

    seen: list[weakref.ref[Tensor]] = []

    @node("math/bursts")
    def bursts() -> float:
        """Fails with something large in its hands."""
        large = Tensor((1.0,) * 1000)
        seen.append(weakref.ref(large))
        raise MemoryError("out")

    bench = Bench()
    executor = Executor({"math/bursts": definition(bursts)}, Cache(0), bench.executor.services, bench.identity)  # type: ignore[dict-item]
    result = executor.run(graph("b", b=Step("math/bursts")), "r", bench.events.append, threading.Event())
    gc.collect()
    assert result.problems[0].code == "out-of-memory" and seen[0]() is None


def test_a_node_that_exits_fails_and_the_run_goes_on():
    @node("math/exits")
    def exits() -> float:
        """Leave."""
        sys.exit(3)

    bench = Bench()
    executor = Executor({**DEFS, "math/exits": definition(exits)}, Cache(0), bench.executor.services, bench.identity)  # type: ignore[dict-item]
    result = executor.run(
        graph("e", "n", e=Step("math/exits"), n=number(1)), "r", bench.events.append, threading.Event()
    )
    assert result.status == "failed" and result.outputs == {"n": {"float": 1.0}}


def test_cancelled_between_steps_it_stops_there():
    bench = Bench()

    def emit(event: events.Event) -> None:
        bench.events.append(event)
        if type(event) is events.Finished and event.step == "a":
            bench.cancelled.set()

    CALLS.clear()
    made = graph("b", a=number(1), b=Step("math/add", {"a": joined("a")}))
    result = bench.executor.run(made, "r", emit, bench.cancelled)
    assert (result.status, bench.called()) == ("cancelled", ["number"])
    assert [type(one) for one in bench.events[-2:]] == [events.CancelledEvent, events.RunFinished]
    bench.cancelled.clear()
    assert bench.value(made) == 1.0


def test_cancelled_inside_a_node_it_stops_at_the_next_check():
    bench = Bench()

    def emit(event: events.Event) -> None:
        bench.events.append(event)
        if type(event) is events.Progress and event.done == 2:
            bench.cancelled.set()

    result = bench.executor.run(graph("w", w=Step("math/work", {"rounds": 1000})), "r", emit, bench.cancelled)
    assert result.status == "cancelled" and result.problems == ()
    assert bench.told(events.CancelledEvent) == [events.CancelledEvent("r", "w")]
    assert len(bench.told(events.Progress)) == 2


def test_a_cancelled_run_begins_nothing():
    bench = Bench()
    bench.cancelled.set()
    assert bench.run(graph("n", n=number(1))).status == "cancelled"
    assert bench.called() == []


def test_after_a_failure_made_good_the_node_is_called_once_more():
    tries: list[int] = []

    @node("math/second_time")
    def second_time() -> float:
        """Works the second time."""
        tries.append(1)
        if len(tries) == 1:
            raise MemoryError("no room")
        return 7.0

    bench = Bench()
    asked: list[tuple[str, bool]] = []

    def recover(error: BaseException, step: str, again: bool) -> bool:
        asked.append((step, again))
        return isinstance(error, MemoryError)

    defs = {"math/second_time": definition(second_time)}
    executor = Executor(defs, Cache(0), bench.executor.services, bench.identity, recover=recover)  # type: ignore[arg-type]
    result = executor.run(graph("s", s=Step("math/second_time")), "r", bench.events.append, threading.Event())
    assert result.outputs == {"s": {"float": 7.0}} and asked == [("s", False)]


# ── news ──


def test_the_events_of_a_run_in_order():
    bench = Bench()
    bench.run(graph("w", w=Step("math/work", {"rounds": 2})))
    names = [type(one).__name__ for one in bench.events]
    assert names == ["RunStarted", "Started", "Progress", "Progress", "Finished", "RunFinished"]
    (finished,) = bench.told(events.Finished)
    assert finished.outputs == {"int": "2"} and 0 < finished.seconds < 10


def test_peak_memory_is_asked_of_its_port():
    readings = iter([5, 1000])
    bench = Bench(peak_bytes=lambda: next(readings))
    bench.run(graph("n", n=number(1)))
    assert bench.told(events.Finished)[0].peak_bytes == 1000


def test_previews_are_made_on_another_thread_and_the_newest_wins():
    threads: list[str] = []
    shown = threading.Event()

    @node("math/paints")
    def paints(ctx: Context) -> int:
        """Many pictures, then time to see one."""
        for i in range(100):
            ctx.preview(lambda i=i: threads.append(threading.current_thread().name) or bytes([i]))  # type: ignore[misc]
        shown.wait(10)
        return 1

    bench = Bench()

    def emit(event: events.Event) -> None:
        bench.events.append(event)
        if type(event) is events.Preview and event.image == bytes([99]):
            shown.set()

    executor = Executor({"math/paints": definition(paints)}, Cache(0), bench.executor.services, bench.identity)  # type: ignore[dict-item]
    executor.run(graph("p", p=Step("math/paints")), "r", emit, threading.Event())
    assert shown.is_set() and len(bench.told(events.Preview)) <= 5
    assert set(threads) == {"previews"} and "previews" not in {one.name for one in threading.enumerate()}


def test_a_preview_that_cannot_be_made_costs_a_line_in_the_log():
    told = threading.Event()

    @node("math/smears")
    def smears(ctx: Context) -> int:
        """No picture."""
        ctx.preview(lambda: bytes(1 // 0))
        told.wait(10)
        return 1

    bench = Bench()

    def emit(event: events.Event) -> None:
        bench.events.append(event)
        if type(event) is events.Log:
            told.set()

    executor = Executor({"math/smears": definition(smears)}, Cache(0), bench.executor.services, bench.identity)  # type: ignore[dict-item]
    assert executor.run(graph("p", p=Step("math/smears")), "r", emit, threading.Event()).status == "succeeded"
    assert "ZeroDivisionError" in bench.told(events.Log)[0].text


# ── properties and proportions ──


@given(st.data())
def test_any_graph_gives_what_evaluating_it_naively_gives(data: st.DataObject):
    size = data.draw(st.integers(1, 14))
    steps: dict[str, Step] = {}
    for i in range(size):
        before = st.integers(0, i - 1).map(lambda j: joined(f"s{j}"))
        some = st.floats(-100, 100) if not i else st.floats(-100, 100) | before
        kind = data.draw(st.sampled_from(["number", "add", "total", "choose"]))
        draw = {
            "number": st.fixed_dictionaries({}, optional={"value": some}),
            "add": st.fixed_dictionaries({"a": some}, optional={"b": some, "plus": some}),
            "total": st.fixed_dictionaries({"values": st.lists(some, max_size=3)}),
            "choose": st.fixed_dictionaries({"left": some, "right": some, "side": st.sampled_from(["left", "right"])}),
        }[kind]
        steps[f"s{i}"] = Step(f"math/{kind}", data.draw(draw))

    def value(given: object) -> float:
        return evaluate(given.step) if isinstance(given, Join) else float(given)  # type: ignore[arg-type]

    def evaluate(id: str) -> float:
        step = steps[id]
        given = {n: v if isinstance(v, (list, str)) else value(v) for n, v in step.inputs.items()}
        match step.kind:
            case "math/number":
                return given.get("value", 0.0)
            case "math/add":
                return given["a"] + (given.get("b") or 0.0) + given.get("plus", 0.0)
            case "math/total":
                return float(sum(map(value, given["values"])))
            case _:
                return given[given["side"]]

    targets = data.draw(st.lists(st.sampled_from(sorted(steps)), min_size=1, max_size=3, unique=True))
    order = data.draw(st.permutations(sorted(steps)))
    bench = Bench(Cache(data.draw(st.sampled_from([0, 3000, 1 << 20]))))
    made = Graph({id: steps[id] for id in order}, tuple(targets))
    expected = {id: {"float": evaluate(id)} for id in targets}
    for _ in range(2):
        result = bench.run(made)
        assert result.problems == () and result.outputs == expected


@pytest.mark.parametrize("wide", [False, True])
def test_ten_thousand_steps_run_without_recursion(wide: bool):
    bench = Bench(Cache(1 << 26))
    if wide:
        steps = {f"s{i}": number(i) for i in range(9_999)}
        steps["t"] = Step("math/total", {"values": [joined(id) for id in steps]})
    else:
        steps = {f"s{i}": Step("math/add", {"a": joined(f"s{i - 1}"), "plus": i}) for i in range(1, 10_000)}
        steps = {"s0": number(0)} | steps
    made = Graph(steps, (list(steps)[-1],))
    expected = sum(range(9_999 if wide else 10_000))
    assert bench.value(made) == expected
    began = time.process_time()
    assert bench.value(made) == expected
    assert time.process_time() - began < 1.0 and bench.called() == []


def test_the_runtime_imports_no_tensor_library_and_is_quick_to_import():
    code = (
        "import time, sys; t = time.perf_counter(); import graph_runtime.executor, graph_runtime.document;"
        "print(time.perf_counter() - t, sorted({'torch', 'numpy', 'PIL'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    seconds, names = done.stdout.split(" ", 1)
    assert names.strip() == "[]" and float(seconds) < 2
