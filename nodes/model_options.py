"""Nodes that change how a model is used without changing what it is: what only some families can be told.

What a family offers is in its defaults: OPTIONS names what its velocity takes, POSITIONS the ways for other sizes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from graph_runtime.context import Context
from graph_runtime.node import Knob, node
from nodes.models.family import FAMILIES, Family, family_named
from nodes.recipes import Model
from nodes.sockets import refused

AUTO = "auto"


def ways(families: tuple[Family, ...] = FAMILIES) -> tuple[str, ...]:
    """Every way for other sizes that some family has."""
    found = (way for family in families for way in getattr(family.defaults, "POSITIONS", ()))
    return (AUTO, *dict.fromkeys(found))


@node("core/scale_positions", category="sampling")
def scale_positions(
    model: Model,
    ctx: Context,
    *,
    positions: Annotated[str, Knob(choices=ways)] = AUTO,
    watershed: Annotated[float, Knob(min=-1, max=1, step=0.05, auto=-1)] = -1.0,
    proportional: Literal["auto", "on", "off"] = AUTO,
) -> Model:
    """How a model sees pictures of other sizes than it was trained on.

    model: that paints
    positions: cut refuses what is larger than a learned grid, stretched widens it; the others divide rotary ones,
        linear all alike and ntk the slow more than the fast
    watershed: where Lumina's watershed is, from 0 (noise) to 1 (picture); -1 is what the model is made for
    proportional: whether attention sharpens with the size of the picture, as Lumina was made to
    """
    family = family_named(model.family)
    known = getattr(family.defaults, "POSITIONS", ())
    if positions != AUTO and positions not in known:
        what = f"{model.title} is a {family.name} model, which has no positions called {positions}."
        fix = f"Use one of {', '.join((AUTO, *known))}." if known else f"Leave it at {AUTO}."
        raise refused("unknown-option", "Scale positions.positions", what, fix)
    asked: dict[str, Any] = {} if positions == AUTO else {"positions": positions}
    asked |= {} if watershed < 0 else {"watershed": watershed}
    asked |= {} if proportional == AUTO else {"proportional": proportional == "on"}
    offered = getattr(family.defaults, "OPTIONS", ())
    for name in asked.keys() - set(offered):
        ctx.log(f"{name} has no effect: {model.title} is a {family.name} model, which does not have it.")
    kept = {name: value for name, value in asked.items() if name in offered}
    return replace(model, options=tuple(sorted((dict(model.options) | kept).items())))
