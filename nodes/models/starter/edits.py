"""What the starter can be told to change in a picture: the instruction, the scene before it and the scene after it.

Recolour, resize or remove things that are named ("make the red circle green"), or give the picture another ground. A
name picks out just the things that are meant. All else stays, to the pixel: jitter goes with the cell.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from nodes.models.starter.drawing import GROUND, SIDE, paint
from nodes.models.starter.grammar import (
    BACKGROUND_WORDS,
    BACKGROUNDS,
    COLOUR_WORDS,
    COLOURS,
    CORNERS,
    MAX_WORDS,
    PLURALS,
    SHAPE_WORDS,
    SIDES,
    SIZE_WORDS,
    SIZES,
    UPPER,
    Caption,
    Phrase,
    Scene,
    Thing,
    held_out,
    sample,
)

KINDS = {"colour": 4, "size": 2, "remove": 2, "ground": 2}  # and how often each is asked for, of all
WORDINGS = {
    "colour": ("make {} {}", "make {} {}", "paint {} {}", "turn {} {}", "change {} to {}"),
    "size": ("make {} {}",),
    "remove": ("remove {}", "remove {}", "delete {}", "erase {}", "take away {}"),
    "ground": ("make the background {}", "make the background {}", "paint the background {}",
               "change the background to {}", "turn the background {}"),
}  # fmt: skip


@dataclass(frozen=True)
class Told:
    """What an instruction says, for an encoder that is taught to parse: None where it says nothing."""

    kind: str
    shape: str | None = None
    colour: str | None = None
    size: str | None = None
    cells: tuple[int, ...] | None = None
    value: str | None = None  # the new colour, size or ground


@dataclass(frozen=True)
class Edit:
    """An instruction and the two scenes; `caption` is one of the scene before."""

    words: tuple[str, ...]
    told: Told
    before: Scene
    after: Scene
    caption: Caption

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def claims(self) -> dict:
        """What the edited picture promises, all of it, as plain data for the judge."""
        things = [{"shape": t.shape, "colour": t.colour, "size": t.size, "cells": [t.cell]} for t in self.after.things]
        return {
            "text": self.text,
            "things": things,
            "relation": None,
            "line": None,
            "background": self.after.background,
        }


def drawn(scene: Scene, seed: str, side: int = SIDE) -> np.ndarray:
    """The picture of a scene, (H, W, 3) uint8; what stands in a cell is moved and scaled by seed and cell alone."""
    canvas = np.empty((side, side, 3), np.float32)
    canvas[:] = GROUND[scene.background]
    for thing in scene.things:
        paint(canvas, thing, random.Random(f"{seed}/{thing.cell}"))
    return canvas.round().astype(np.uint8)


def matching(scene: Scene, told: Told) -> set[int]:
    """The cells of the things that a name fits."""
    return {
        t.cell
        for t in scene.things
        if t.shape == told.shape
        and told.colour in (None, t.colour)
        and told.size in (None, t.size)
        and (told.cells is None or t.cell in told.cells)
    }


def _named(r: random.Random, scene: Scene, phrase: Phrase, kind: str) -> tuple[list[str], Told] | None:
    """A name for the things of a phrase, short more often than long; None where none picks out just them."""
    t, n = phrase.things[0], len(phrase.things)
    extras = r.sample(("colour", "size", "cells"), 3)
    for count in (r.choices((0, 1, 2), (6, 4, 1))[0], 0, 1, 2, 3):
        chosen = [e for e in extras[:count] if e != "cells" or n == 1]
        told = Told(
            kind,
            t.shape,
            t.colour if "colour" in chosen else None,
            t.size if "size" in chosen and t.size != "medium" else None,
            (t.cell,) if "cells" in chosen else None,
        )
        if matching(scene, told) == {one.cell for one in phrase.things}:
            shape = r.choice(SHAPE_WORDS[t.shape])
            words = ["the", *([r.choice(SIZE_WORDS[t.size])] if told.size else [])]
            words += [r.choice(COLOUR_WORDS[t.colour])] if told.colour else []
            words += [PLURALS[shape] if n > 1 else shape, *(_where(r, t.cell) if told.cells else [])]
            return words, told
    return None


def _where(r: random.Random, cell: int) -> list[str]:
    if cell in SIDES:
        return r.choice(SIDES[cell]).split()
    corner = r.choice((CORNERS, CORNERS, UPPER))[cell]
    return r.choice((f"at the {corner}", f"in the {corner}", f"in the {corner} corner")).split()


def _changed(scene: Scene, cells: set[int], change: Callable[[Thing], Thing | None]) -> Scene:
    things = (change(t) if t.cell in cells else t for t in scene.things)
    return replace(scene, things=tuple(t for t in things if t is not None))


def _edit(r: random.Random, caption: Caption) -> Edit | None:
    """One random instruction for a scene; None where the kind that was drawn does not suit it."""
    scene = caption.scene
    kind = r.choices(tuple(KINDS), tuple(KINDS.values()))[0]
    wording = r.choice(WORDINGS[kind])
    if kind == "ground":
        free = [b for b in BACKGROUNDS if b != scene.background and all(t.colour != b for t in scene.things)]
        value = r.choice(free)
        words = wording.format(r.choice(BACKGROUND_WORDS[value])).split()
        return Edit(tuple(words), Told(kind, value=value), scene, replace(scene, background=value), caption)
    named = _named(r, scene, r.choice(caption.phrases), kind)
    if named is None:
        return None
    name, told = named
    cells, first = matching(scene, told), next(t for t in scene.things if t.cell in matching(scene, told))
    if kind == "remove":
        after = _changed(scene, cells, lambda t: None)
        words = tuple(wording.format(" ".join(name)).split())
        return Edit(words, told, scene, after, caption) if after.things else None
    if kind == "colour":
        value = r.choice([c for c in COLOURS if c not in (first.colour, scene.background)])
        word = r.choice(COLOUR_WORDS[value])
        after = _changed(scene, cells, lambda t: replace(t, colour=value))
    else:
        value = r.choice([s for s in SIZES if s != first.size])
        word = r.choice([w for w in SIZE_WORDS[value] if w])
        after = _changed(scene, cells, lambda t: replace(t, size=value))
    words = tuple(wording.format(" ".join(name), word).split())
    return Edit(words, replace(told, value=value), scene, after, caption)


def sample_edit(r: random.Random, split: str = "train") -> Edit:
    """A random edit. In training neither scene is held out; otherwise ("held out") both are."""
    wanted = split != "train"
    while True:
        caption = sample(r, split)
        for _ in range(1 if split == "train" else 24):
            edit = _edit(r, caption)
            if edit is not None and len(edit.words) <= MAX_WORDS and held_out(edit.after) == wanted:
                return edit


def instruction_words() -> list[str]:
    """Every word that an instruction can contain, sorted."""
    r = random.Random(0)
    return sorted({w for _ in range(20000) for w in sample_edit(r).words})
