"""What the starter can be told to change in a picture: the instruction, the scene before it and the scene after it.

Recolour, resize or remove things that are named ("make the red circle green"), or give the picture another ground. A
name picks out just the things that are meant. All else stays, to the pixel: jitter goes with the cell.
"""

from __future__ import annotations

import random
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

WORDS = {"colour": COLOUR_WORDS, "size": SIZE_WORDS, "ground": BACKGROUND_WORDS}


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
    """An instruction, the two scenes, what is meant of the first (nothing: the ground), and maybe a caption of it."""

    words: tuple[str, ...]
    told: Told
    before: Scene
    after: Scene
    meant: tuple[Thing, ...]
    caption: Caption | None

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def bound(self) -> bool:
        """Whether some things are meant and others are not."""
        return 0 < len(self.meant) < len(self.before.things)

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


def _named(r: random.Random, scene: Scene, meant: tuple[Thing, ...], kind: str) -> tuple[list[str], Told] | None:
    """A name for equal things of a scene, short more often than long; None where none picks out just them."""
    t, n = meant[0], len(meant)
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
        if matching(scene, told) == {one.cell for one in meant}:
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


def _changed(scene: Scene, meant: tuple[Thing, ...], kind: str, value: str | None) -> Scene:
    """The scene after."""
    if kind == "ground":
        return replace(scene, background=value)
    cells = {t.cell for t in meant}
    kept = (t for t in scene.things if kind != "remove" or t.cell not in cells)
    return replace(scene, things=tuple(replace(t, **{kind: value}) if t.cell in cells else t for t in kept))


def _said(
    r: random.Random, scene: Scene, meant: tuple[Thing, ...], kind: str, value: str | None
) -> tuple[tuple[str, ...], Told] | None:
    """Words for a change of a scene; None where no name picks out just what is meant."""
    wording = r.choice(WORDINGS[kind])
    word = r.choice([w for w in WORDS[kind][value] if w]) if value else ""
    if kind == "ground":
        return tuple(wording.format(word).split()), Told(kind, value=value)
    named = _named(r, scene, meant, kind)
    if named is None:
        return None
    return tuple(wording.format(" ".join(named[0]), word).split()), replace(named[1], value=value)


def _value(r: random.Random, scene: Scene, first: Thing, kind: str) -> str | None:
    """What a change may lead to: something else, that can be told from the ground."""
    if kind == "ground":
        hidden = {scene.background, *(t.colour for t in scene.things)}
        return r.choice([b for b in BACKGROUNDS if b not in hidden])
    if kind == "colour":
        return r.choice([c for c in COLOURS if c not in (first.colour, scene.background)])
    return r.choice([s for s in SIZES if s != first.size]) if kind == "size" else None


def _edit(r: random.Random, caption: Caption) -> Edit | None:
    """One random instruction for a scene; None where the kind that was drawn does not suit it."""
    scene, kind = caption.scene, r.choices(tuple(KINDS), tuple(KINDS.values()))[0]
    meant = () if kind == "ground" else r.choice(caption.phrases).things
    value = _value(r, scene, scene.things[0] if kind == "ground" else meant[0], kind)
    said, after = _said(r, scene, meant, kind, value), _changed(scene, meant, kind, value)
    return Edit(*said, scene, after, meant, caption) if said and after.things else None


def reworded_edit(r: random.Random, edit: Edit) -> Edit:
    """The same change in other words, where there are some."""
    said = _said(r, edit.before, edit.meant, edit.told.kind, edit.told.value)
    return replace(edit, words=said[0], told=said[1]) if said else edit


def reversed_edit(r: random.Random, edit: Edit) -> Edit | None:
    """The change back; None for what was removed, and where no name picks out just what is meant."""
    kind, scene = edit.told.kind, edit.after
    if kind == "remove":
        return None
    cells = {t.cell for t in edit.meant}
    meant = tuple(t for t in scene.things if t.cell in cells)
    value = edit.before.background if kind == "ground" else getattr(edit.meant[0], kind)
    said = _said(r, scene, meant, kind, value)
    return Edit(*said, scene, edit.before, meant, None) if said else None


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
