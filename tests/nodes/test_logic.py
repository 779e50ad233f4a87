"""Choosing, lists and loops, run by the real executor."""

from __future__ import annotations

import json
from typing import Any

import pytest
from workbench import Bench

J = {"value": {"join": ["", "value"]}, "index": {"join": ["", "index"]}, "a": {"join": ["", "a"]}}


def step(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"kind": f"core/{kind}", "inputs": inputs}


def body(result: tuple[str, str], again: tuple[str, str] | None = None, **steps: Any) -> str:
    ends = {"result": {"join": list(result)}} | ({"again": {"join": list(again)}} if again else {})
    return json.dumps({"steps": steps, **ends})


def test_only_the_chosen_side_is_computed(bench: Bench) -> None:
    for condition, side in ((True, "yes"), (False, "no")):
        ran = bench.good(
            {
                "yes": ("text_value", {"text": "yes"}),
                "no": ("text_value", {"text": "no"}),
                "pick": ("switch", {"on_true": "@yes.string", "on_false": "@no.string", "condition": condition}),
            },
            "pick",
        )
        assert ran.one("pick") == side
        assert ran.computed == {side, "pick"}


def test_a_switch_that_leads_nowhere_says_so(bench: Bench) -> None:
    ran = bench.run({"no": ("text_value", {}), "pick": ("switch", {"on_false": "@no.string"})}, "pick")
    assert ran.status == "failed"
    assert "on_true" in str(ran.problems[0])


def test_what_follows_a_list_runs_once_for_each_value(bench: Bench) -> None:
    ran = bench.good(
        {
            "words": ("split_text", {"text": "red\n\n green \nblue"}),
            "each": ("format_text", {"a": "@words.string", "template": "a {a} ball"}),
            "all": ("join_texts", {"texts": ["@each.string"], "separator": "; "}),
            "number": ("list_length", {"items": ["@words.string"]}),
            "last": ("pick_from_list", {"items": ["@words.string"], "index": -1}),
            "some": ("part_of_list", {"items": ["@words.string"], "first": 1, "count": 5}),
            "together": ("join_texts", {"texts": ["@some.any"]}),
        },
        *("all", "number", "last", "together"),
    )
    assert ran.one("all") == "a red ball; a green ball; a blue ball"
    assert ran.one("number") == 3
    assert ran.one("last") == "blue"
    assert ran.one("together") == "green, blue"


def test_lists_of_numbers_count_and_spread(bench: Bench) -> None:
    ran = bench.good(
        {
            "count": ("count", {"start": 3, "step": 2, "count": 3}),
            "spread": ("spread", {"first": 0, "last": 1, "count": 3}),
            "sum": ("calculate", {"a": "@count.int", "b": "@spread.float"}),
            "shown": ("format_text", {"a": "@sum.number", "template": "{a:.1f}"}),
            "list": ("make_list", {"items": ["@shown.string"]}),
            "text": ("join_texts", {"texts": ["@list.any"]}),
        },
        "text",
    )
    assert ran.one("text") == "3.0, 5.5, 8.0"


def test_a_value_that_is_not_in_the_list_is_refused(bench: Bench) -> None:
    ran = bench.run(
        {"w": ("split_text", {"text": "a"}), "p": ("pick_from_list", {"items": ["@w.string"], "index": 1})}, "p"
    )
    assert "no value 1 in a list of 1" in str(ran.problems[0])


def test_a_loop_runs_its_body_on_what_it_gave_before(bench: Bench) -> None:
    doubled = body(("sum", "number"), sum=step("calculate", a=J["value"], b=J["value"]))
    for times in (0, 1, 5):
        ran = bench.good(
            {
                "one": ("number", {"value": 1}),
                "loop": ("repeat", {"value": "@one.float", "times": times, "body": doubled}),
            },
            "loop",
        )
        assert ran.one("loop") == 2.0**times


def test_a_longer_loop_goes_on_where_the_shorter_one_ended(bench: Bench) -> None:
    added = body(("sum", "number"), sum=step("calculate", a=J["value"], b=J["index"]))

    def loop(times: int) -> Any:
        return {
            "one": ("number", {"value": 1}),
            "loop": ("repeat", {"value": "@one.float", "times": times, "body": added}),
        }

    assert bench.good(loop(3), "loop").one("loop") == 1 + 0 + 1 + 2
    ran = bench.good(loop(4), "loop")
    assert ran.one("loop") == 1 + 0 + 1 + 2 + 3
    assert len([id for id in ran.computed if "sum" in id]) == 1


def test_a_loop_ends_when_its_condition_does(bench: Bench) -> None:
    until = body(
        ("sum", "number"),
        ("more", "boolean"),
        sum=step("calculate", a=J["value"], b=J["a"]),
        more=step("compare", a={"join": ["sum", "number"]}, b=10, comparison="a < b"),
    )
    graph = {
        "one": ("number", {"value": 1}),
        "by": ("number", {"value": 4}),
        "loop": ("repeat", {"value": "@one.float", "a": "@by.float", "times": 100, "body": until}),
    }
    assert bench.good(graph, "loop").one("loop") == 13
    graph["loop"][1]["times"] = 2
    assert bench.good(graph, "loop").one("loop") == 9


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ("[]", "not a graph"),
        ("[" * 100_000, "not JSON"),
        ('{"steps": {}}', "names no `result`"),
        ('{"steps": {}, "result": {"join": ["x", "y"]}}', "joins what is not there: x.y"),
        ('{"steps": {}, "result": {"join": ["", "b"]}}', "joins what is not there: .b"),
        ('{"steps": {"a": 1}, "result": {"join": ["", "value"]}}', "not a step"),
        ('{"steps": {"a": {"kind": "core/none"}}, "result": {"join": ["a", "y"]}}', "no node 'core/none'"),
    ],
)
def test_a_body_that_is_no_graph_is_refused(text: str, says: str, bench: Bench) -> None:
    ran = bench.run({"one": ("number", {}), "loop": ("repeat", {"value": "@one.float", "body": text})}, "loop")
    assert ran.status == "failed"
    assert says in str(ran.problems[0])
