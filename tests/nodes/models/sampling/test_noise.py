"""Noise: by seed, on the CPU, image by image when asked so."""

from __future__ import annotations

import pytest
import torch

from graph_runtime.problem import Refused
from nodes.models.sampling.noise import noise, noised, stream

SHAPE = (3, 16, 4, 6)


def test_an_image_with_its_own_seed_does_not_depend_on_its_neighbours() -> None:
    assert torch.equal(noise(SHAPE, [1, 2, 3])[1:2], noise((1, *SHAPE[1:]), 2))
    assert torch.equal(noise((1, *SHAPE[1:]), [9]), noise((1, *SHAPE[1:]), 9))


def test_a_generator_goes_on_from_where_it_stands() -> None:
    generator = torch.Generator().manual_seed(4)
    first, second = noise(SHAPE, generator), noise(SHAPE, generator)
    assert torch.equal(first, noise(SHAPE, 4)) and not torch.equal(first, second)


def test_another_number_of_seeds_is_refused_with_both_numbers() -> None:
    with pytest.raises(Refused, match="2 seeds for 3 images"):
        noise(SHAPE, [1, 2])


def test_fresh_noise_repeats_neither_itself_nor_the_start() -> None:
    fresh = stream(SHAPE, 7, "cpu")
    draws = [noise(SHAPE, 7), fresh(), fresh()]
    for i, one in enumerate(draws):
        for other in draws[i + 1 :]:
            assert abs(float(torch.corrcoef(torch.stack((one.flatten(), other.flatten())))[0, 1])) < 0.15


def test_noised_is_the_line_between() -> None:
    clean, start = torch.full(SHAPE, 2.0), noise(SHAPE, 1)
    assert torch.equal(noised(clean, start, 1.0), start)
    assert torch.equal(noised(clean, start, 0.0), clean)
