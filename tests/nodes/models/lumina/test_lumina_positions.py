"""Positions for other sizes: what each way promises."""

from __future__ import annotations

import math

import pytest
import torch

from nodes.models.lumina.defaults import POSITIONS
from nodes.models.lumina.positions import THETA, frequencies, table

FEATURES, SIDE = 36, 64


def each(positions: str, stretch: float, t: float = 0.5, watershed: float = 1.0) -> torch.Tensor:
    return frequencies(FEATURES, stretch, t, SIDE, positions, watershed)


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("t", [0.0, 0.5, 1.0])
def test_at_the_size_of_training_all_ways_are_one(positions: str, t: float) -> None:
    assert torch.allclose(each(positions, 1.0, t), each("none", 1.0), rtol=1e-6)


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("t", [0.0, 0.3, 1.0])
def test_no_frequency_grows_and_none_is_divided_by_more_than_the_stretch(positions: str, t: float) -> None:
    usual, ours = each("none", 2.0), each(positions, 2.0, t, watershed=0.3)
    assert (ours <= usual * (1 + 1e-6)).all() and (ours >= usual / 2 * (1 - 1e-6)).all()
    assert (ours.diff() < 0).all()


def test_the_watershed_divides_positions_before_it_and_slows_them_after() -> None:
    early, late = (each("watershed", 2.0, t, watershed=0.3) for t in (0.29, 0.31))
    assert torch.allclose(early, each("none", 2.0) / 2)
    assert late[0] == 1.0 and torch.allclose(late[-1], (2 * THETA) ** torch.tensor(-17 / 18))


def test_by_frequency_a_wave_as_long_as_the_side_is_divided_by_exactly_the_stretch() -> None:
    usual, ours = each("none", 2.0), each("frequency", 2.0)
    divided = usual / ours
    waves = 2 * math.pi / usual
    assert torch.allclose(divided[waves > SIDE], torch.tensor(2.0))
    inside = divided[waves < SIDE]
    assert inside[0] == 1.0 and (inside.diff() > 0).all() and inside[-1] < 2


def test_by_time_it_goes_from_dividing_to_slowing() -> None:
    start, end = each("time", 2.0, 0.0), each("time", 2.0, 1.0)
    assert torch.allclose(start[1:], each("none", 2.0)[1:] / 2)
    assert torch.allclose(end, each("watershed", 2.0, 1.0, watershed=0.0), rtol=1e-5)
    middle = [each("time", 2.0, t)[5] for t in (0.0, 0.2, 0.6, 1.0)]
    assert middle == sorted(middle)


def test_pairs_turn_by_row_and_column_alternately() -> None:
    turns = table(2, 3, torch.tensor([1.0, 0.5])).angle()
    assert turns.shape == (6, 4)
    assert torch.allclose(turns[5], torch.tensor([1.0, 2.0, 0.5, 1.0]))
