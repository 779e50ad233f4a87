"""What the starter checkpoint can be asked for: scenes, the captions that name them, and which scenes are held out.

A scene is a plain background and one to five flat shapes on a 3×3 grid of cells,

    0 1 2      top left     top      top right
    3 4 5      left         center   right
    6 7 8      bottom left  bottom   bottom right

A caption is a list of words, each knowing the phrase it belongs to, so that a text encoder can be taught to parse.
What a caption leaves out has one default: medium size, white background, the arrangements of `ARRANGEMENTS`.
"""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass, field

SHAPES = ("circle", "square", "triangle", "diamond", "ring", "cross")
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "black")
SIZES = ("small", "medium", "large")
BACKGROUNDS = ("white", "black", "grey", "beige", "yellow", "pink", "light blue", "light green")
COUNTS = {2: "two", 3: "three", 4: "four", 5: "five"}

SHAPE_WORDS = {
    "circle": ("circle", "circle", "disc"),
    "square": ("square",),
    "triangle": ("triangle",),
    "diamond": ("diamond",),
    "ring": ("ring",),
    "cross": ("cross",),
}
PLURALS = {
    "circle": "circles",
    "disc": "discs",
    "square": "squares",
    "triangle": "triangles",
    "diamond": "diamonds",
    "ring": "rings",
    "cross": "crosses",
}
COLOUR_WORDS = {c: (c,) for c in COLOURS} | {"purple": ("purple", "purple", "violet")}
SIZE_WORDS = {
    "small": ("small", "small", "tiny", "little"),
    "medium": ("", "", "", "", "medium"),
    "large": ("large", "large", "big", "huge"),
}
BACKGROUND_WORDS = {b: (b,) for b in BACKGROUNDS} | {"grey": ("grey", "gray")}

CORNERS = {0: "top left", 2: "top right", 6: "bottom left", 8: "bottom right"}
UPPER = {0: "upper left", 2: "upper right", 6: "lower left", 8: "lower right"}
SIDES = {
    1: ("at the top",),
    3: ("on the left", "at the left"),
    4: ("in the center", "in the middle"),
    5: ("on the right", "at the right"),
    7: ("at the bottom",),
}

# How several equal shapes stand, and the words that say so. The first of each count is what no words mean.
ARRANGEMENTS: dict[int, tuple[tuple[tuple[int, ...], tuple[str, ...]], ...]] = {
    2: (
        ((3, 5), ("", "", "side by side", "in a row")),
        ((0, 2), ("at the top",)),
        ((6, 8), ("at the bottom",)),
        ((1, 7), ("in a column",)),
        ((0, 6), ("on the left",)),
        ((2, 8), ("on the right",)),
    ),
    3: (
        ((3, 4, 5), ("", "", "in a row")),
        ((0, 1, 2), ("at the top",)),
        ((6, 7, 8), ("at the bottom",)),
        ((1, 4, 7), ("in a column",)),
        ((0, 3, 6), ("on the left",)),
        ((2, 5, 8), ("on the right",)),
    ),
    4: (((0, 2, 6, 8), ("", "in the corners")),),
    5: (((0, 2, 4, 6, 8), ("",)),),
}
RELATIONS = {
    "left of": ("to the left of", "left of"),
    "right of": ("to the right of", "right of"),
    "above": ("above", "above", "over"),
    "below": ("below", "under"),
}
RELATION_CELLS = {"left of": (3, 5), "right of": (5, 3), "above": (1, 7), "below": (7, 1)}

HELD_OUT_ONE_IN = 12
MAX_WORDS = 31  # + the end mark = 32 tokens, the length the text encoder is used at


@dataclass(frozen=True)
class Thing:
    """One shape in one cell."""

    shape: str
    colour: str
    size: str
    cell: int


@dataclass(frozen=True)
class Scene:
    """Everything that is drawn, up to jitter."""

    things: tuple[Thing, ...]
    background: str = "white"

    def key(self) -> str:
        """The same text for the same scene, however it was worded."""
        rows = sorted((t.cell, t.shape, t.colour, t.size) for t in self.things)
        return json.dumps([self.background, rows])


@dataclass
class Phrase:
    """Equal things that are named together: "three small red circles at the top"."""

    things: tuple[Thing, ...]
    place: str = ""  # words after the noun, or before it when `place_first`
    cells: tuple[int, ...] | None = None  # the cells that `place` promises; None where it promises none
    line: str | None = None  # "row" or "column" where the words say so


@dataclass
class Caption:
    """Words, the phrase of each word (-1: none), the scene they describe and what exactly they promise."""

    words: list[str]
    owner: list[int]
    phrases: list[Phrase]
    scene: Scene
    relation: str | None = None
    named_background: bool = False
    named_sizes: list[bool] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join(self.words).replace(" ,", ",")

    def claims(self) -> dict:
        """What the words promise, as plain data for a judge that knows nothing of this module."""
        things = []
        for phrase, sized in zip(self.phrases, self.named_sizes, strict=True):
            for t in phrase.things:
                things.append(
                    {
                        "shape": t.shape,
                        "colour": t.colour,
                        "size": t.size if sized else None,
                        "cells": list(phrase.cells) if phrase.cells else None,
                    }
                )
        lines = [p.line for p in self.phrases if p.line]
        return {
            "text": self.text,
            "things": things,
            "relation": self.relation,
            "line": lines[0] if lines else None,
            "background": self.scene.background if self.named_background else None,
        }


def held_out(scene: Scene) -> bool:
    """True for the one scene in twelve that training never sees, under any wording."""
    digest = hashlib.sha256(scene.key().encode()).digest()
    return int.from_bytes(digest[:4], "big") % HELD_OUT_ONE_IN == 0


def _look(r: random.Random, background: str) -> tuple[str, str, str]:
    colours = [c for c in COLOURS if c != background]
    return r.choice(SHAPES), r.choice(colours), r.choice(SIZES)


def _place(r: random.Random, cell: int) -> str:
    if cell in SIDES:
        return r.choice(SIDES[cell])
    corner = r.choice((CORNERS, CORNERS, UPPER))[cell]
    return r.choice((f"at the {corner}", f"in the {corner}", f"in the {corner} corner"))


def _placed(r: random.Random, cell: int, background: str) -> Phrase:
    return Phrase((Thing(*_look(r, background), cell),), _place(r, cell), (cell,))


def _group(r: random.Random, n: int, background: str, choice: int | None = None) -> Phrase:
    look = _look(r, background)
    cells, words = ARRANGEMENTS[n][choice] if choice is not None else r.choice(ARRANGEMENTS[n])
    place = r.choice(words)
    line = "row" if "row" in place or "side" in place else "column" if "column" in place else None
    promised = cells if place.startswith(("at", "on", "in the")) else None
    return Phrase(tuple(Thing(*look, c) for c in cells), place, promised, line)


def _phrases(r: random.Random, background: str) -> tuple[list[Phrase], str | None]:
    """What stands where: one, two or three things, a relation, a count, or a count and one more."""
    kind = r.choices(("one", "two", "three", "relation", "count", "mixed"), (3, 4, 4, 4, 4, 2))[0]
    if kind == "one":
        if r.random() < 0.3:
            return [Phrase((Thing(*_look(r, background), 4),))], None
        return [_placed(r, r.randrange(9), background)], None
    if kind in ("two", "three"):
        cells = r.sample(range(9), 2 if kind == "two" else 3)
        return [_placed(r, c, background) for c in cells], None
    if kind == "relation":
        relation = r.choice((*RELATIONS, None))
        cells = RELATION_CELLS[relation] if relation else (3, 5)
        join = r.choice(RELATIONS[relation]) if relation else r.choice(("and", "next to", "and"))
        pair = [Phrase((Thing(*_look(r, background), c),)) for c in cells]
        pair[0].place = join
        return pair, relation or "beside"
    if kind == "count":
        return [_group(r, r.choice((2, 3, 3, 4, 4, 5)), background)], None
    top = r.random() < 0.5
    group = _group(r, r.choice((2, 3)), background, 1 if top else 2)
    single = _placed(r, r.choice((4, 6, 7, 8) if top else (0, 1, 2, 4)), background)
    return ([group, single] if r.random() < 0.5 else [single, group]), None


def _noun(r: random.Random, phrase: Phrase) -> tuple[list[str], bool]:
    """ "a large red circle" or "three small rings", and whether the size was said."""
    t, n = phrase.things[0], len(phrase.things)
    size, colour, shape = r.choice(SIZE_WORDS[t.size]), r.choice(COLOUR_WORDS[t.colour]), r.choice(SHAPE_WORDS[t.shape])
    first = COUNTS[n] if n > 1 else "an" if not size and colour[0] in "o" else "a"
    return [w for w in (first, size, colour, PLURALS[shape] if n > 1 else shape) if w], bool(size)


def _assemble(r: random.Random, phrases: list[Phrase], relation: str | None, background: str) -> Caption:
    words: list[str] = []
    owner: list[int] = []
    sized: list[bool] = []

    def say(text: str | list[str], who: int = -1) -> None:
        for w in text.split() if isinstance(text, str) else text:
            words.append(w)
            owner.append(who)

    named = background != "white" or r.random() < 0.15
    ground = r.choice(BACKGROUND_WORDS[background])
    lead = named and r.random() < 0.2
    if lead:
        say(f"on a {ground} background ,")
    place_first = relation is None and all(p.place for p in phrases) and r.random() < 0.12
    for i, p in enumerate(phrases):
        if i and relation is None:
            say(r.choice(("and", "and", ", and")) if i == len(phrases) - 1 else ",")
        noun, said = _noun(r, p)
        sized.append(said)
        if place_first:
            say(p.place, i)
            say(noun, i)
        else:
            say(noun, i)
            say(p.place, i)
    if named and not lead:
        say(r.choice((f"on a {ground} background", f", on a {ground} background", f", {ground} background")))
    scene = Scene(tuple(t for p in phrases for t in p.things), background)
    return Caption(words, owner, phrases, scene, relation, named, sized)


def sample(r: random.Random, split: str = "train") -> Caption:
    """A random caption of a scene that is (`"held out"`) or is not (`"train"`) held out of training."""
    while True:
        background = "white" if r.random() < 0.3 else r.choice(BACKGROUNDS)
        caption = _assemble(r, *_phrases(r, background), background)
        if len(caption.words) <= MAX_WORDS and held_out(caption.scene) == (split != "train"):
            return caption


def reworded(r: random.Random, caption: Caption) -> Caption:
    """Another caption of the same scene with the same promised places; falls back on the one given when too long."""
    other = _assemble(r, caption.phrases, caption.relation, caption.scene.background)
    return other if len(other.words) <= MAX_WORDS else caption


def vocabulary() -> list[str]:
    """Every word that a caption can contain, sorted."""
    r = random.Random(0)
    return sorted({w for _ in range(20000) for w in sample(r).words})
