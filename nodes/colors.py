"""Colours as people write them."""

from __future__ import annotations

from PIL import ImageColor

from nodes.sockets import refused


def rgb(text: str, place: str) -> tuple[float, float, float]:
    """ "#ff8800", "orange" or "rgb(255, 136, 0)" as three numbers from 0 to 1. Raises Refused for anything else."""
    try:
        red, green, blue, *_ = ImageColor.getrgb(text.strip())
    except ValueError:
        raise refused(
            "bad-colour", place, f"{text!r} is no colour.", "Write it as #rrggbb or by its English name."
        ) from None
    return red / 255, green / 255, blue / 255
