"""Nodes that change how fast a model computes, not what it is. Those that also change the picture say so: lossy.

None loads anything: what comes out is the same recipe, with a field that says how its steps are computed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from graph_runtime.context import Context
from graph_runtime.node import Knob, node
from nodes.models.family import family_named
from nodes.models.layers.attention import AUTO, BACKENDS, missing
from nodes.models.sampling.skipping import FirstBlock, Magnitude, Skipping, Taylor
from nodes.recipes import LAYOUTS, Model, Vae
from nodes.sockets import refused

CATEGORY = "speed"
Change = Annotated[float, Knob(min=0, max=10, step=0.01)]


@node("core/attention_backend", category=CATEGORY)
def attention_backend(
    model: Model, ctx: Context, *, backend: Annotated[str, Knob(choices=lambda: (AUTO, *BACKENDS))] = AUTO
) -> Model:
    """Which kernel computes a model's attention. The picture stays the same, but for rounding.

    model: that paints
    backend: auto takes the fastest that the device has; another is refused where it is missing
    """
    reason = missing(backend, ctx.device)
    if reason:
        fix = f"Choose {AUTO}, which takes the fastest there is."
        raise refused("no-attention-backend", "Attention backend.backend", f"{backend}: {reason}.", fix)
    return replace(model, attention=backend)


@node("core/compile_model", category=CATEGORY)
def compile_model(model: Model, *, on: bool = True) -> Model:
    """Lets torch compile a model's blocks: faster steps, and the picture stays the same, but for rounding.

    Nobody waits: the first picture is painted as ever, then the blocks are compiled beside other work, once for all
    prompts, sizes, seeds and LoRAs, and later pictures are painted by what was compiled.

    model: that paints
    on: off leaves the model as it is
    """
    return replace(model, compiled=on)


@node("core/vae_layout", title="VAE layout", category=CATEGORY)
def vae_layout(vae: Vae, *, layout: Annotated[str, Knob(choices=lambda: tuple(LAYOUTS))] = AUTO) -> Vae:
    """How a VAE's convolutions lie in memory. The picture stays the same, but for rounding.

    vae: of any model
    layout: channels last is the faster one nearly everywhere, and what auto takes
    """
    return replace(vae, layout=layout)


@node("core/cache_first_block", title="First-block cache (lossy)", category=CATEGORY)
def cache_first_block(model: Model, *, threshold: Change = 0.08) -> Model:
    """Leaves out most of a model in steps where its first block does nearly what it did before. Changes the picture.

    model: that paints
    threshold: how much may differ, as a share; more skips more and changes the picture more, 0 skips nothing
    """
    return _skipping(model, FirstBlock(threshold))


@node("core/cache_taylor", title="TaylorSeer cache (lossy)", category=CATEGORY)
def cache_taylor(
    model: Model,
    *,
    interval: Annotated[int, Knob(min=1, max=50)] = 3,
    begin: Annotated[int, Knob(min=1, max=100)] = 3,
    order: Annotated[int, Knob(min=0, max=4)] = 1,
) -> Model:
    """Computes only some steps and continues the others from them by a polynomial. Changes the picture.

    model: that paints
    interval: one step of so many is computed; 1 computes all
    begin: steps that are computed before it begins
    order: of the polynomial; 0 repeats the last result, 1 continues on a line, 2 on a parabola
    """
    return _skipping(model, Taylor(interval, begin, order))


@node("core/cache_magnitude", title="Magnitude cache (lossy)", category=CATEGORY)
def cache_magnitude(
    model: Model,
    *,
    threshold: Change = 0.06,
    most: Annotated[int, Knob(min=1, max=20)] = 3,
    keep: Annotated[float, Knob(min=0, max=1, step=0.05)] = 0.2,
    ratios: Annotated[tuple[float, ...], Knob(advanced=True)] = (),
    measure: Annotated[bool, Knob(advanced=True)] = False,
) -> Model:
    """Leaves out steps in which what a model adds is known to keep its size (MagCache). Changes the picture.

    model: that paints
    threshold: sum of errors of steps that are left out in a row; more skips more, 0 skips nothing
    most: steps that are left out in a row
    keep: share of the steps at the beginning that are all computed
    ratios: how that size changes from step to step; empty takes what was measured for Flux.1
    measure: leave nothing out, but measure the ratios, which are told after painting
    """
    known = ratios or getattr(family_named(model.family).defaults, "MAGNITUDES", ())
    if not known and not measure:
        what = f"nobody has measured how the steps of a {model.family} model change in size."
        fix = "Paint once with measure on, and copy the ratios that it tells."
        raise refused("no-ratios", "Magnitude cache (lossy).ratios", what, fix)
    return _skipping(model, Magnitude(None if measure else known, threshold, most, keep))


def _skipping(model: Model, way: Skipping) -> Model:
    return replace(model, skipping=way)
