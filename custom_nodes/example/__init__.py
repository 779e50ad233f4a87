"""An example pack: a type of wire, two nodes, and a widget of its own. Nothing else was edited to make it work.

Copy this folder into `custom_nodes` in your data folder (`latentloom doctor` says where) and start again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from graph_runtime.context import Context
from graph_runtime.node import Knob, node
from graph_runtime.sockets import socket

TITLE = "Example"
WIDGETS = {"steps": "web/steps.js"}
EDITOR = "web/editor.js"


@socket("PALETTE", color="#ff8a65")
@dataclass(frozen=True)
class Palette:
    """A few colours, each as "#rrggbb"."""

    colors: tuple[str, ...]

    def summary(self) -> str:
        return " ".join(self.colors)


@node("example/gradient", category="example")
def gradient(
    ctx: Context,
    *,
    first: str = "#000000",
    last: str = "#ffffff",
    count: Annotated[int, Knob(min=2, max=64, widget="example.steps")] = 5,
) -> Palette:
    """Colours on the straight line from one to another.

    first: the colour to begin with, as #rrggbb
    last: the colour to end with, as #rrggbb
    count: how many colours, both ends included
    """
    ends = [[int(color[at : at + 2], 16) for at in (1, 3, 5)] for color in (first, last)]
    colors = []
    for step in range(count):
        mixed = (round(a + (b - a) * step / (count - 1)) for a, b in zip(*ends, strict=True))
        colors.append("#" + "".join(f"{part:02x}" for part in mixed))
        ctx.progress(step + 1, count)  # also stops here when the run is cancelled
    return Palette(tuple(colors))


@node("example/show_palette", category="example", output=True)
def show_palette(palette: Palette, *, separator: str = ", ") -> str:
    """A palette as text.

    separator: what stands between two colours
    """
    return separator.join(palette.colors)
