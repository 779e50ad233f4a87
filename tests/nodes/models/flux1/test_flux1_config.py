"""Impossible sizes are refused with the numbers that clash; recommendations follow from what a network is."""

from __future__ import annotations

import pytest

from graph_runtime.problem import Refused
from nodes.models.flux1.config import Config
from nodes.models.flux1.defaults import defaults


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"width": 100, "heads": 3}, "100 does not divide into 3 heads"),
        ({"axes": (16, 56, 58)}, "sum to 130, a head has 128"),
        ({"axes": (15, 57, 56)}, "three even numbers"),
        ({"out_channels": 62}, "62 output features"),
    ],
)
def test_impossible_sizes(sizes: dict[str, object], said: str) -> None:
    with pytest.raises(Refused, match=said):
        Config(**sizes)  # type: ignore[arg-type]


def test_schnell_takes_four_steps_and_dev_shifts_by_resolution() -> None:
    assert (defaults(Config.schnell()).steps, defaults(Config.schnell()).text_length) == (4, 256)
    assert defaults(Config.schnell()).schedule.sigmas(4, 4096) == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert defaults(Config.dev()).schedule.dynamic and defaults(Config.dev()).guidance == 3.5
    assert defaults(Config(in_channels=384)).guidance == 30.0
