"""Looks at a picture and says whether it keeps what a caption promises. Knows nothing of how pictures are drawn.

The ground is the colour of the picture's rim; what differs from it falls into connected patches; each patch has a
colour (by hue, saturation and value), a size and a place (by its bounding box) and a shape (the one that covers it
best, and whether it has a hole). Input is RGB, (128, 128, 3) uint8; all lengths are pixels.
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np

SPECK = 24  # pixels: smaller patches are dirt, larger ones count as things
STANDS_OUT = 36  # of 255, in the strongest channel: where a patch begins
CLEAR = 0.86  # what a patch and the shape it looks most like must have in common; a circle and a square have 0.83
SMALL, LARGE = 19.3, 28.2  # longest side of a small thing is below, of a large one above
HUES = (
    (16, "red"),
    (40, "orange"),
    (64, "yellow"),
    (165, "green"),
    (248, "blue"),
    (303, "purple"),
    (346, "pink"),
    (361, "red"),
)


@dataclass(frozen=True)
class Found:
    """One thing as it looks."""

    shape: str
    colour: str
    size: str
    x: float  # middle of the bounding box
    y: float


def colour_name(rgb: np.ndarray) -> str:
    """The everyday name of a colour given in 0…255."""
    h, s, v = colorsys.rgb_to_hsv(*(float(c) / 255 for c in rgb))
    hue = h * 360
    if v < 0.25:
        return "black"
    if s < 0.08:
        return "white" if v > 0.9 else "grey"
    if s < 0.42 and v > 0.8:
        if 25 <= hue < 60:
            return "beige"
        if 85 <= hue < 165:
            return "light green"
        if 185 <= hue < 235:
            return "light blue"
        if 300 <= hue < 350:
            return "pink"
        return "pale"
    return next(name for end, name in HUES if hue < end)


def ground_of(picture: np.ndarray) -> np.ndarray:
    """The colour of the outermost two pixels, (3,) float."""
    rim = np.concatenate(
        (
            picture[:2].reshape(-1, 3),
            picture[-2:].reshape(-1, 3),
            picture[:, :2].reshape(-1, 3),
            picture[:, -2:].reshape(-1, 3),
        )
    )
    return np.median(rim, axis=0)


def patches(mask: np.ndarray) -> list[np.ndarray]:
    """The 4-connected patches of a mask, each as (N, 2) rows and columns."""
    left = {(int(y), int(x)) for y, x in zip(*np.nonzero(mask), strict=True)}
    found = []
    while left:
        first = left.pop()
        patch, edge = [first], [first]
        while edge:
            y, x = edge.pop()
            for near in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                if near in left:
                    left.remove(near)
                    patch.append(near)
                    edge.append(near)
        found.append(np.array(patch))
    return found


def hole_of(inside: np.ndarray) -> np.ndarray:
    """What a patch (h, w) encloses."""
    framed = np.pad(~inside, 1, constant_values=True)
    hole = np.zeros_like(framed)
    for patch in patches(framed):
        if not (patch == 0).any():
            hole[tuple(patch.T)] = True
    return hole[1:-1, 1:-1]


def outlines(x: np.ndarray, y: np.ndarray, area: float) -> Iterator[tuple[str, np.ndarray]]:
    """The filled shapes of that area about (0, 0), in the proportions they may have; x, y are the middles of pixels."""
    a, b = np.abs(x), np.abs(y)
    yield "circle", x * x + y * y <= area / np.pi
    yield "square", np.maximum(a, b) <= area**0.5 / 2
    yield "diamond", a + b <= (area / 2) ** 0.5
    for width in (1.0, 1.15):  # of the height
        height = (2 * area / width) ** 0.5
        down = y + height * 2 / 3  # from the tip; the centroid is two thirds below it
        yield "triangle", (down >= 0) & (down <= height) & (a <= down * width / 2)
    for arm in (0.3, 0.36, 0.42):  # of the span
        half = (area / (2 * arm - arm * arm)) ** 0.5 / 2
        yield "cross", (np.minimum(a, b) <= arm * half) & (np.maximum(a, b) <= half)


def alike(inside: np.ndarray) -> dict[str, float]:
    """What a patch (h, w) and each shape, laid over it as well as can be, have in common: intersection over union."""
    rows, columns = np.nonzero(inside)
    y, x = np.mgrid[-3 : inside.shape[0] + 3, -3 : inside.shape[1] + 3].astype(float)
    framed = np.pad(inside, 3)
    best: dict[str, float] = {}
    for dy, dx, scale in product((-0.5, 0.0, 0.5), (-0.5, 0.0, 0.5), (0.92, 1.0, 1.08)):
        for name, one in outlines(x - columns.mean() - dx, y - rows.mean() - dy, scale * inside.sum()):
            best[name] = max(best.get(name, 0.0), float((one & framed).sum() / (one | framed).sum()))
    return best


def shape_name(points: np.ndarray) -> str:
    """What a patch (N, 2) looks most like; "unclear" where that is not much."""
    low, high = points.min(0), points.max(0) + 1
    inside = np.zeros(tuple(high - low), bool)
    inside[tuple((points - low).T)] = True
    hole = hole_of(inside)
    common = alike(inside | hole)
    name = max(common, key=lambda one: common[one])
    if common[name] < CLEAR:
        return "unclear"
    if hole.sum() > 0.08 * len(points):
        return "ring" if name == "circle" else "unclear"
    return name


def look(picture: np.ndarray) -> tuple[str, list[Found]]:
    """The name of the ground and the things on it."""
    image = picture.astype(np.float32)
    ground = ground_of(image)
    away = np.abs(image - ground).max(-1)
    things = []
    for patch in patches(away > STANDS_OUT):
        if len(patch) < SPECK:
            continue
        strength = away[tuple(patch.T)]
        core = patch[strength >= np.quantile(strength, 0.4)]
        colour = np.median(image[tuple(core.T)], axis=0)
        span = colour - ground
        cover = ((image[tuple(patch.T)] - ground) @ span) / max(float(span @ span), 1.0)
        solid = patch[cover > 0.5]
        if len(solid) < SPECK:
            continue
        low, high = solid.min(0), solid.max(0) + 1
        side = float((high - low).max())
        size = "small" if side < SMALL else "large" if side > LARGE else "medium"
        y, x = ((low + high) / 2).tolist()
        things.append(Found(shape_name(solid), colour_name(colour), size, x, y))
    return colour_name(ground), things


def cell_of(thing: Found, side: int) -> int:
    """0…8, row by row: the ninth of the picture that the thing's middle is in."""
    return int(thing.y * 3 / side) * 3 + int(thing.x * 3 / side)


def stands(relation: str, a: Found, b: Found) -> bool:
    """Whether a is, say, left of b: clearly, and more so than above or below."""
    dx, dy = b.x - a.x, b.y - a.y
    along, across = {
        "left of": (dx, dy),
        "right of": (-dx, dy),
        "above": (dy, dx),
        "below": (-dy, dx),
        "beside": (abs(dx), dy),
    }[relation]
    return along > 10 and along > abs(across)


def in_line(line: str, things: list[Found]) -> bool:
    """Whether things stand in a row or a column."""
    across = [t.y if line == "row" else t.x for t in things]
    return max(across) - min(across) < 12


def judge(picture: np.ndarray, claims: dict) -> dict[str, bool]:
    """Each kind of attribute that the claims name → whether the picture keeps all of them.

    `claims` has things (each with shape, colour, and size and cells or None), relation, line, background.
    """
    ground, found = look(picture)
    wanted = claims["things"]
    verdict = {"count": len(found) == len(wanted)}
    if claims["background"]:
        verdict["background"] = ground == claims["background"]
    full = len(found) == len(wanted)  # otherwise no matching can be right, and there may be very many
    best = _compare(wanted, [], claims, picture.shape[0])
    for order in permutations(range(len(found))) if full else ():
        now = _compare(wanted, [found[i] for i in order], claims, picture.shape[0])
        if sum(now.values()) > sum(best.values()):
            best = now
        if all(best.values()):
            break
    return verdict | best


def _compare(wanted: list[dict], found: list[Found], claims: dict, side: int) -> dict[str, bool]:
    full = len(found) == len(wanted)
    pairs = list(zip(wanted, found, strict=False))
    out = {name: full and all(getattr(f, name) == w[name] for w, f in pairs) for name in ("shape", "colour")}
    if any(w["size"] for w in wanted):
        out["size"] = full and all(f.size == w["size"] for w, f in pairs if w["size"])
    if any(w["cells"] for w in wanted):
        out["position"] = full and all(cell_of(f, side) in w["cells"] for w, f in pairs if w["cells"])
    if claims["relation"]:
        out["relation"] = full and stands(claims["relation"], found[0], found[1])
    if claims["line"]:
        out["arrangement"] = full and in_line(claims["line"], list(found))
    return out
