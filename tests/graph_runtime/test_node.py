"""A typed function becomes a NodeDef, or a Problem that names the parameter."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_runtime.context import Context
from graph_runtime.node import Knob, Lazy, NodeDef, definition, node
from graph_runtime.problem import Refused
from graph_runtime.sockets import socket


@socket("CLAY")
class Clay:
    """Something soft."""


class Halves(NamedTuple):
    left: Clay
    right: Clay
    count: int


@node("toy/everything", category="toy", version=3, purity="seeded", output=True, previews=True)
def everything(
    ctx: Context,
    a: Clay,
    b: Lazy[Clay],
    c: list[Clay],
    d: Clay | None = None,
    e: Clay | str | None = None,
    *,
    amount: Annotated[float, Knob(min=0, max=1, step=0.1)] = 0.5,
    mode: Literal["x", "y"] = "x",
    name: Annotated[str, Knob(choices=lambda: ("p", "q"))] = "q",
    picture: Annotated[str, Knob(file="image")] = "",
    seed: Annotated[int, Knob(seed=True, min=0)] = 7,
    sigmas: tuple[float, ...] = (),
) -> Halves:
    """Do everything.

    It does it twice.

    amount: how much of it,
        from 0 to 1
    a: the first clay
    count: how many there are
    """
    raise NotImplementedError


def test_the_signature_is_the_node() -> None:
    d = definition(everything)
    assert d is not None
    assert [(w.name, w.type, w.optional, w.lazy, w.many) for w in d.wires] == [
        ("a", "CLAY", False, False, False),
        ("b", "CLAY", False, True, False),
        ("c", "CLAY", False, False, True),
        ("d", "CLAY", True, False, False),
        ("e", "CLAY|STRING", True, False, False),
    ]
    assert [(k.name, k.type, k.default) for k in d.knobs] == [
        ("amount", "FLOAT", 0.5),
        ("mode", "CHOICE", "x"),
        ("name", "CHOICE", "q"),
        ("picture", "FILE", ""),
        ("seed", "INT", 7),
        ("sigmas", "FLOATS", ()),
    ]
    assert [(o.name, o.type) for o in d.outputs] == [("left", "CLAY"), ("right", "CLAY"), ("count", "INT")]
    assert (d.title, d.pack, d.version, d.purity) == ("Everything", "toy", 3, "seeded")
    assert d.output and d.previews and d.context == "ctx"


def test_the_docstring_is_the_help_and_its_lines_are_the_tooltips() -> None:
    d = definition(everything)
    assert d is not None
    assert d.help.startswith("Do everything.") and "It does it twice." in d.help and "how much" not in d.help
    assert [i.help for i in (d.input("amount"), d.input("a"), d.output_named("count")) if i] == [
        "how much of it, from 0 to 1",
        "the first clay",
        "how many there are",
    ]


def test_a_definition_survives_the_wire_without_its_function() -> None:
    d = definition(everything)
    assert d is not None
    far = NodeDef.from_json(d.as_json())
    assert far == d and far.function is None and d.function is everything


def test_every_wrong_annotation_is_named_at_once() -> None:
    @node("toy/wrong")
    def wrong(a, b: dict, c: Clay = 3, *rest: Clay, d: int, e: float = "x", f: Clay = None) -> set:  # type: ignore
        ...

    with pytest.raises(Refused) as refused:
        definition(wrong)
    assert {(p.code, p.field) for p in refused.value.problems} == {
        ("missing-annotation", "a"),
        ("bad-annotation", "b"),
        ("bad-default", "c"),
        ("bad-parameter", "rest"),
        ("missing-default", "d"),
        ("bad-default", "e"),
        ("bad-annotation", "f"),
        ("bad-annotation", ""),
    }


@pytest.mark.parametrize("kind", ["mix", "a/b/c", "my pack/mix", "/mix", "a/"])
def test_a_kind_is_pack_and_name(kind: str) -> None:
    @node(kind)
    def odd() -> None: ...

    with pytest.raises(Refused, match="not pack/name"):
        definition(odd)


def test_an_unknown_name_in_an_annotation_is_a_problem_not_a_crash() -> None:
    @node("toy/unknown")
    def unknown(a: Marble) -> None: ...  # type: ignore[name-defined] # noqa: F821

    with pytest.raises(Refused, match="Marble"):
        definition(unknown)


def test_what_is_not_described_is_no_node() -> None:
    assert definition(print) is None
    assert definition(test_what_is_not_described_is_no_node) is None


NUMBERS = st.one_of(st.integers(), st.floats(), st.booleans(), st.text(), st.none(), st.lists(st.floats()))


@given(NUMBERS)
def test_what_a_knob_accepts_has_one_form_and_the_form_is_accepted(value: Any) -> None:
    d = definition(everything)
    assert d is not None
    for knob in d.knobs:
        if not knob.refuses(value):
            once = knob.normalised(value)
            assert knob.refuses(once) == "" and knob.normalised(once) == once


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("amount", 1.5, "more than 1"),
        ("amount", float("nan"), "not finite"),
        ("amount", True, "not a number"),
        ("seed", -1, "less than 0"),
        ("seed", 2.5, "not a whole number"),
        ("seed", float("inf"), "not a whole number"),
        ("mode", "z", "not one of 'x', 'y'"),
        ("sigmas", [1.0, float("inf")], "not a finite number"),
        ("picture", 3, "not text"),
    ],
)
def test_a_knob_says_why_it_refuses(name: str, value: Any, reason: str) -> None:
    d = definition(everything)
    assert d is not None
    knob = next(k for k in d.knobs if k.name == name)
    assert reason in knob.refuses(value)


def test_whole_floats_are_integers_and_integers_are_floats() -> None:
    d = definition(everything)
    assert d is not None
    knobs = {k.name: k for k in d.knobs}
    assert type(knobs["seed"].normalised(20.0)) is int and type(knobs["amount"].normalised(1)) is float
