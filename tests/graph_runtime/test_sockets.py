"""A wire's type is an open string, and what fits where follows from the names alone."""

from __future__ import annotations

from typing import Any

import pytest

from graph_runtime.sockets import fits, socket, socket_of, wire_type


@socket("CLAY", color="#aa7755", shape="square")
class Clay:
    """Something soft.

    More about it.
    """


class Fired(Clay):
    """A child is not its parent's socket."""


def test_a_class_says_its_name_colour_and_shape() -> None:
    described = socket_of(Clay)
    assert described is not None
    assert described.as_json() == {"name": "CLAY", "color": "#aa7755", "shape": "square", "help": "Something soft."}
    assert socket_of(Fired) is None


@pytest.mark.parametrize(
    ("annotation", "name"),
    [(Clay, "CLAY"), (int, "INT"), (bool, "BOOLEAN"), (Any, "ANY"), (Clay | str, "CLAY|STRING"), (dict, None)],
)
def test_annotations_name_wire_types(annotation: object, name: str | None) -> None:
    assert wire_type(annotation) == name


@pytest.mark.parametrize(
    ("given", "wanted", "answer"),
    [
        ("CLAY", "CLAY", True),
        ("CLAY", "ANY", True),
        ("ANY", "CLAY", True),
        ("INT", "FLOAT", True),
        ("FLOAT", "INT", False),
        ("BOOLEAN", "INT", False),
        ("CLAY", "CLAY|STRING", True),
        ("INT", "CLAY|FLOAT", True),
        ("CLAY", "IMAGE", False),
    ],
)
def test_what_fits_where(given: str, wanted: str, answer: bool) -> None:
    assert fits(given, wanted) is answer
