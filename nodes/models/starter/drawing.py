"""Draws a scene: flat shapes with smooth edges on a plain ground, 128×128 unless told otherwise.

Each shape is a signed distance in pixels (negative inside); an edge is one pixel of linear coverage.
Distances of discs, boxes and half planes: Quilez, "2D distance functions", iquilezles.org/articles/distfunctions2d.
"""

from __future__ import annotations

import random

import numpy as np

from nodes.models.starter.grammar import COLOURS, SHAPES, SIZES, Scene, Thing

SIDE = 128  # pixels
CENTRES = (24.0, 64.0, 104.0)  # of the three rows and columns, pixels
RADII = {"small": 8.0, "medium": 12.0, "large": 17.0}  # pixels
POSITION_JITTER = 1.5  # pixels, each axis, uniform
SIZE_JITTER = 0.04  # relative, uniform

PAINT = {
    "red": (220, 40, 40),
    "orange": (246, 140, 28),
    "yellow": (250, 214, 40),
    "green": (36, 160, 70),
    "blue": (40, 84, 220),
    "purple": (132, 56, 180),
    "pink": (246, 110, 176),
    "black": (24, 24, 28),
}
GROUND = {
    "white": (250, 250, 250),
    "black": (24, 24, 28),
    "grey": (176, 178, 182),
    "beige": (240, 226, 198),
    "yellow": (250, 214, 40),
    "pink": (246, 110, 176),
    "light blue": (176, 214, 244),
    "light green": (178, 232, 184),
}


def distance(shape: str, x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """Signed distance of the points (x, y) from the edge of a shape of that radius around the origin, in pixels."""
    ax, ay = np.abs(x), np.abs(y)
    if shape == "circle":
        return np.hypot(x, y) - radius
    if shape == "ring":
        return np.abs(np.hypot(x, y) - 0.75 * radius) - 0.25 * radius
    if shape == "square":
        return np.maximum(ax, ay) - 0.9 * radius
    if shape == "diamond":
        return (ax + ay - 1.08 * radius) * np.sqrt(0.5)
    if shape == "cross":
        w = 0.34 * radius
        return np.minimum(np.maximum(ax - radius, ay - w), np.maximum(ax - w, ay - radius))
    half = np.sqrt(3) / 2  # an upright triangle with its bounding box around the origin
    apex, base = -0.95 * radius, 0.8 * radius
    return np.maximum(y - base, ax * half - (y - apex) * 0.5)


def paint(canvas: np.ndarray, thing: Thing, r: random.Random) -> None:
    """Draws one thing into `canvas` (H, W, 3) float, with its jitter."""
    side = canvas.shape[0]
    cx = CENTRES[thing.cell % 3] + r.uniform(-POSITION_JITTER, POSITION_JITTER)
    cy = CENTRES[thing.cell // 3] + r.uniform(-POSITION_JITTER, POSITION_JITTER)
    radius = RADII[thing.size] * (1 + r.uniform(-SIZE_JITTER, SIZE_JITTER))
    reach = int(radius * 1.2) + 2
    x0, x1 = max(0, int(cx) - reach), min(side, int(cx) + reach + 1)
    y0, y1 = max(0, int(cy) - reach), min(side, int(cy) + reach + 1)
    x, y = np.meshgrid(np.arange(x0, x1) + 0.5 - cx, np.arange(y0, y1) + 0.5 - cy)
    cover = np.clip(0.5 - distance(thing.shape, x, y, radius), 0, 1)[..., None]
    patch = canvas[y0:y1, x0:x1]
    patch += cover * (np.array(PAINT[thing.colour], np.float32) - patch)


def draw(scene: Scene, r: random.Random, side: int = SIDE) -> np.ndarray:
    """The picture of a scene, (H, W, 3) uint8; `r` moves and scales its things a little."""
    canvas = np.empty((side, side, 3), np.float32)
    canvas[:] = GROUND[scene.background]
    for thing in scene.things:
        paint(canvas, thing, r)
    return canvas.round().astype(np.uint8)


def crowd(r: random.Random) -> np.ndarray:
    """A picture with any colours in many cells: denser than a captioned scene, to train the autoencoder on."""
    canvas = np.empty((SIDE, SIDE, 3), np.float32)
    canvas[:] = GROUND[r.choice(tuple(GROUND))]
    for cell in range(9):
        if r.random() < 0.7:
            paint(canvas, Thing(r.choice(SHAPES), r.choice(COLOURS), r.choice(SIZES), cell), r)
    return canvas.round().astype(np.uint8)
