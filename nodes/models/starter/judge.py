"""Looks at a picture and says whether it keeps what a caption promises. Knows nothing of how pictures are drawn.

The ground is the colour of the picture's rim; what differs from it falls into connected patches; each patch has a
colour (by hue, saturation and value), a size and a place (by its bounding box) and a shape (by hole, convexity, filling
and balance of its outline). Input is RGB, (128, 128, 3) uint8; all lengths are pixels.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from itertools import permutations

import numpy as np

SPECK = 24  # pixels: smaller patches are dirt, larger ones count as things
STANDS_OUT = 36  # of 255, in the strongest channel: where a patch begins
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


def hull_area(points: np.ndarray) -> float:
    """Area of the convex hull of pixels (N, 2), each a unit square. Andrew's monotone chain, 1979."""
    corners = {(y + dy, x + dx) for y, x in points.tolist() for dy in (0, 1) for dx in (0, 1)}
    order = sorted(corners)

    def chain(run: list[tuple[int, int]]) -> list[tuple[int, int]]:
        out: list[tuple[int, int]] = []
        for p in run:
            while (
                len(out) > 1
                and ((out[-1][0] - out[-2][0]) * (p[1] - out[-2][1]) - (out[-1][1] - out[-2][1]) * (p[0] - out[-2][0]))
                <= 0
            ):
                out.pop()
            out.append(p)
        return out[:-1]

    ring = np.array(chain(order) + chain(order[::-1]), dtype=float)
    y, x = ring[:, 0], ring[:, 1]
    return 0.5 * abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))))


def holes(inside: np.ndarray) -> int:
    """Pixels of a filled-in outline that are not part of the patch; `inside` is its box, (h, w) bool."""
    framed = np.pad(~inside, 1, constant_values=True)
    return sum(len(p) for p in patches(framed) if not (p == 0).any())


def shape_name(points: np.ndarray) -> str:
    """What a patch (N, 2) looks like; "unclear" where it is no shape that has a name here."""
    low, high = points.min(0), points.max(0) + 1
    h, w = (high - low).tolist()
    inside = np.zeros((h, w), bool)
    inside[tuple((points - low).T)] = True
    area, mirrored = len(points), inside & inside[:, ::-1]
    if not 0.75 < w / h < 1.4 or mirrored.sum() / area < 0.84:
        return "unclear"
    if holes(inside) > 0.08 * area:
        return "ring" if (inside & inside[::-1]).sum() / area > 0.84 else "unclear"
    balance = (points[:, 0].mean() + 0.5 - low[0]) / h - 0.5  # of a triangle's centroid: a sixth below the middle
    filling, convexity = area / (h * w), area / hull_area(points)
    if balance > 0.09:
        return "triangle" if 0.42 < filling < 0.66 and convexity > 0.85 else "unclear"
    if abs(balance) > 0.06:
        return "unclear"
    if convexity < 0.84:
        return "cross" if 0.45 < filling < 0.72 else "unclear"
    if filling > 0.89:
        return "square"
    if filling > 0.69:
        return "circle"
    return "diamond" if filling < 0.64 else "unclear"


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
