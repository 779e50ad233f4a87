"""The judge accepts right pictures of every kind of attribute and rejects each single wrong one.

The pictures here are drawn with Pillow's polygons and ellipses, not with the drawing that the model learned from.
"""

from __future__ import annotations

import random

import numpy as np
import pytest
from PIL import Image, ImageDraw

from nodes.models.starter.drawing import draw
from nodes.models.starter.grammar import sample
from nodes.models.starter.judge import judge, look

SIZES = {"small": 8, "medium": 12, "large": 17}
COLOURS = {
    "red": "#d8232a",
    "orange": "#f58a1f",
    "yellow": "#f7d430",
    "green": "#2a9d4a",
    "blue": "#2b59d9",
    "purple": "#8a3ab9",
    "pink": "#f46fb0",
    "black": "#1a1a1e",
}
GROUNDS = {
    "white": "#fafafa",
    "black": "#1a1a1e",
    "grey": "#b4b4b8",
    "beige": "#efe2c8",
    "yellow": "#f7d430",
    "pink": "#f46fb0",
    "light blue": "#b2d6f2",
    "light green": "#b4e8ba",
}
SCALE = 4


def drawn(ground: str, *things: tuple[str, str, str, float, float]) -> np.ndarray:
    """A picture of (shape, colour, size, x, y), in pixels of 128, drawn four times as large and reduced."""
    image = Image.new("RGB", (128 * SCALE, 128 * SCALE), GROUNDS[ground])
    pen = ImageDraw.Draw(image)
    for shape, colour, size, x, y in things:
        r, x, y, fill = SIZES[size] * SCALE, x * SCALE, y * SCALE, COLOURS[colour]
        w = r / 3
        match shape:
            case "circle":
                pen.ellipse((x - r, y - r, x + r, y + r), fill=fill)
            case "ring":
                pen.ellipse((x - r, y - r, x + r, y + r), outline=fill, width=int(r / 2))
            case "square":
                pen.rectangle((x - 0.9 * r, y - 0.9 * r, x + 0.9 * r, y + 0.9 * r), fill=fill)
            case "diamond":
                pen.polygon([(x - 1.08 * r, y), (x, y - 1.08 * r), (x + 1.08 * r, y), (x, y + 1.08 * r)], fill=fill)
            case "triangle":
                pen.polygon([(x, y - 0.9 * r), (x - r, y + 0.85 * r), (x + r, y + 0.85 * r)], fill=fill)
            case "cross":
                pen.rectangle((x - r, y - w, x + r, y + w), fill=fill)
                pen.rectangle((x - w, y - r, x + w, y + r), fill=fill)
    return np.asarray(image.resize((128, 128), Image.Resampling.BOX))


def claims(*things: dict, relation: str | None = None, line: str | None = None, background: str | None = None) -> dict:
    plain = {"shape": "circle", "colour": "red", "size": None, "cells": None}
    return {"things": [plain | t for t in things], "relation": relation, "line": line, "background": background}


def wrong(picture: np.ndarray, promised: dict) -> set[str]:
    """The attributes that the judge finds broken."""
    return {name for name, kept in judge(picture, promised).items() if not kept}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", ("circle", "ring", "square", "diamond", "triangle", "cross"))
def test_a_shape_and_its_size_are_recognised_and_no_other(shape: str, size: str) -> None:
    picture = drawn("white", (shape, "blue", size, 64, 64))
    assert not wrong(picture, claims({"shape": shape, "colour": "blue", "size": size, "cells": [4]}))
    for other in ("circle", "ring", "square", "diamond", "triangle", "cross"):
        if other != shape:
            assert wrong(picture, claims({"shape": other, "colour": "blue"})) == {"shape"}
    for other in SIZES:
        if other != size:
            assert wrong(picture, claims({"shape": shape, "colour": "blue", "size": other})) == {"size"}


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("colour", COLOURS)
def test_a_colour_on_a_ground_is_recognised_and_no_other(colour: str, ground: str) -> None:
    if colour == ground:
        pytest.skip("nothing to see")
    picture = drawn(ground, ("square", colour, "medium", 24, 104))
    assert not wrong(picture, claims({"shape": "square", "colour": colour, "cells": [6]}, background=ground))
    for other in COLOURS:
        if other != colour:
            assert wrong(picture, claims({"shape": "square", "colour": other})) == {"colour"}
    for other in GROUNDS:
        if other != ground:
            assert wrong(picture, claims({"shape": "square", "colour": colour}, background=other)) == {"background"}


@pytest.mark.parametrize("cell", range(9))
def test_a_place_is_recognised_and_no_other(cell: int) -> None:
    picture = drawn("white", ("circle", "red", "large", 24 + 40 * (cell % 3), 24 + 40 * (cell // 3)))
    for other in range(9):
        assert wrong(picture, claims({"cells": [other]})) == (set() if other == cell else {"position"})


def test_a_count_is_kept_exactly() -> None:
    for n in range(1, 6):
        spots = [(24, 24), (104, 24), (24, 104), (104, 104), (64, 64)][:n]
        picture = drawn("white", *(("circle", "red", "small", x, y) for x, y in spots))
        assert not wrong(picture, claims(*[{}] * n))
        assert "count" in wrong(picture, claims(*[{}] * (n + 1)))
        assert n == 1 or "count" in wrong(picture, claims(*[{}] * (n - 1)))


@pytest.mark.parametrize(
    ("relation", "x", "y"), [("left of", 104, 64), ("right of", 24, 64), ("above", 64, 104), ("below", 64, 24)]
)
def test_a_relation_is_kept_by_the_right_pair_only(relation: str, x: int, y: int) -> None:
    red, blue = {"colour": "red"}, {"colour": "blue", "shape": "square"}
    picture = drawn("grey", ("circle", "red", "medium", 64, 64), ("square", "blue", "medium", x, y))
    assert not wrong(picture, claims(red, blue, relation=relation))
    assert wrong(picture, claims(blue, red, relation=relation)) == {"relation"}


def test_colours_and_shapes_must_belong_to_the_same_thing() -> None:
    picture = drawn("white", ("circle", "red", "medium", 24, 64), ("square", "blue", "medium", 104, 64))
    swapped = claims({"colour": "blue"}, {"colour": "red", "shape": "square"})
    assert not wrong(picture, claims({"colour": "red"}, {"colour": "blue", "shape": "square"}))
    assert wrong(picture, swapped)


def test_a_row_is_no_column() -> None:
    row = drawn("beige", *(("ring", "green", "medium", x, 64) for x in (24, 64, 104)))
    three = [{"shape": "ring", "colour": "green"}] * 3
    assert not wrong(row, claims(*three, line="row"))
    assert wrong(row, claims(*three, line="column")) == {"arrangement"}


@pytest.mark.parametrize("shape", ("circle", "ring", "square", "diamond", "triangle", "cross"))
def test_a_stray_pixel_at_its_edge_does_not_rename_a_small_thing(shape: str) -> None:
    picture = drawn("white", (shape, "blue", "small", 64, 64)).copy()
    inside = np.argwhere(picture[..., 0] < 128)
    for y, x in (inside[0] - (1, 0), inside[-1] + (1, 0)):  # on top of the first, below the last
        picture[y, x] = picture[64, 64 + (shape == "ring") * 7]
    promised = [
        claims({"shape": name, "colour": "blue"}) for name in ("circle", "ring", "square", "diamond", "triangle")
    ]
    right = {one["things"][0]["shape"] for one in promised if not wrong(picture, one)}
    assert right <= {shape} and (shape == "cross" or right)


@pytest.mark.parametrize("cut", (7, 8, 9))
def test_what_is_between_two_shapes_is_neither(cut: int) -> None:
    """A square of 28 whose corners are cut off: nearly an octagon."""
    image = Image.new("RGB", (128, 128), "white")
    near, far = 50 + cut, 78 - cut
    corners = [(near, 50), (far, 50), (78, near), (78, far), (far, 78), (near, 78), (50, far), (50, near)]
    ImageDraw.Draw(image).polygon(corners, fill=COLOURS["blue"])
    for shape in ("square", "diamond"):
        assert wrong(np.asarray(image), claims({"shape": shape, "colour": "blue"})) == {"shape"}


def test_a_misshapen_thing_has_no_name() -> None:
    picture = drawn("white", ("circle", "red", "medium", 64, 64), ("square", "red", "small", 72, 72))
    assert "shape" in wrong(picture, claims({}))


def test_noise_is_judged_at_once() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (128, 128, 3)).astype(np.uint8)
    assert len(look(picture)[1]) != 5
    assert "count" in wrong(picture, claims(*[{}] * 5))


def test_what_the_model_learned_from_is_right() -> None:
    r = random.Random(11)
    for _ in range(120):
        caption = sample(r)
        assert not wrong(draw(caption.scene, r), caption.claims()), caption.text
