"""What models say that they work with, beside what lives while they compute. At the sizes of the releases, with few of
their blocks: in one block as much lives as in any other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch

from nodes.models.auraflow.config import Config as AuraFlow
from nodes.models.autoencoders import flux2, kl
from nodes.models.family import family_named
from nodes.models.flux1.config import Config as Flux1
from nodes.models.flux2.config import Config as Flux2
from nodes.models.lumina.config import Config as Lumina

from .live_bytes import Live, imagined

GIB = 1 << 30
CONFIGS: dict[str, Any] = {
    "flux1": Flux1(double_blocks=2, single_blocks=2),
    "auraflow": AuraFlow(double_blocks=2, single_blocks=2),
    "lumina": Lumina(layers=3),
    "flux2": Flux2(double_blocks=2, single_blocks=2),
}


@contextmanager
def numbers_of(dtype: torch.dtype) -> Iterator[None]:
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def painted(
    name: str, config: Any, dtype: torch.dtype, batch: int, side: int, text: int, shown: int = 0, steps: int = 2,
    **options: Any,
) -> tuple[int, int, int]:  # fmt: skip
    """The most bytes that live, and tokens of a picture and its text, and of `shown` reference pictures as large."""
    family = family_named(name)
    space = family.defaults.LATENT
    cells, levels = side // space.downscale, [1 - step / steps for step in range(steps)]
    with imagined(), torch.no_grad():
        with numbers_of(dtype):
            net = family.transformer.Transformer(config).eval()
        told = {"text": torch.empty(batch, text, config.text_width)}
        told |= {"pooled": torch.empty(batch, config.pooled_width)} if name == "flux1" else {}
        told |= {"mask": torch.ones(batch, text)} if name == "lumina" else {}
        x = torch.empty(batch, config.latent_channels, cells, cells)
        told |= {f"reference.{i}": torch.empty_like(x) for i in range(shown)}
        live = Live([*net.parameters(), *net.buffers(), *told.values(), x])
        with live:
            velocity = family.transformer.velocity(net, told, x.shape, levels, **options)
            for level in levels[:2]:
                velocity(x, level)
    tokens = (cells // space.patch) ** 2
    return live.most, tokens + text, tokens * shown


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize(
    ("dtype", "batch", "side"), [(torch.bfloat16, 1, 512), (torch.bfloat16, 2, 1024), (torch.float32, 1, 1024)]
)
def test_painting_takes_what_was_said(name: str, dtype: torch.dtype, batch: int, side: int) -> None:
    most, tokens, _ = painted(name, CONFIGS[name], dtype, batch, side, 512 if "flux" in name else 256)
    said = CONFIGS[name].step_bytes(batch, tokens, 2, dtype.itemsize)
    assert most <= said <= 1.25 * most


@pytest.mark.parametrize("name", ["flux1", "auraflow"])
def test_the_modulation_of_many_steps_is_counted(name: str) -> None:
    config = replace(CONFIGS[name], double_blocks=4, single_blocks=12)
    most, tokens, _ = painted(name, config, torch.bfloat16, 1, 256, 128, steps=50)
    said = config.step_bytes(1, tokens, 50, 2)
    assert most <= said <= 1.25 * most
    assert config.step_bytes(1, tokens, 2, 2) < 0.9 * most, "it is a good part of it"


@pytest.mark.parametrize(("shown", "once"), [(1, False), (2, False), (1, True), (2, True)])
def test_reference_pictures_are_counted(shown: int, once: bool) -> None:
    config = replace(CONFIGS["flux2"], single_blocks=12)
    most, tokens, seen = painted("flux2", config, torch.bfloat16, 1, 512, 256, shown, references_once=once)
    said = (
        config.step_bytes(1, max(tokens, seen), 2, 2, kept=seen) if once else config.step_bytes(1, tokens + seen, 2, 2)
    )
    assert most <= said <= 1.35 * most


def test_a_megapixel_of_each_family_takes_as_much_as_is_known_of_it() -> None:
    """Counted in all of a network's blocks: 0.59, 1.24 and with two references 3.59, 0.95 and 0.49 GiB."""
    said = [
        Flux1().step_bytes(1, 4096 + 512, 2, 2),
        Flux2().step_bytes(1, 4096 + 512, 2, 2),
        Flux2().step_bytes(1, 3 * 4096 + 512, 2, 2),
        AuraFlow().step_bytes(2, 4096 + 256, 2, 2),
        Lumina().step_bytes(2, 4096 + 256, 2, 2),
    ]
    counted = [0.588, 1.242, 3.590, 0.945, 0.487]
    assert all(one <= count / GIB <= 1.15 * one for one, count in zip(counted, said, strict=True))


@pytest.mark.parametrize(("kind", "latent"), [(kl, 16), (flux2, 128)])
@pytest.mark.parametrize("side", [256, 768])
def test_decoding_takes_what_was_said_and_encoding_less(kind: Any, latent: int, side: int) -> None:
    """In float32, whose attention the CPU does not write out."""
    config = kind.Config()
    with imagined(), torch.no_grad():
        net = kind.Autoencoder(config).eval()
        z = torch.empty(1, latent, side // config.factor, side // config.factor)
        x = torch.empty(1, 3, side, side)
        counted = []
        for run, given in ((net.decode, z), (net.moments, x)):
            live = Live([*net.parameters(), *net.buffers(), given])
            with live:
                run(given)
            counted.append(live.most)
    said = config.decode_bytes(side * side, 4)
    assert 0.99 * counted[0] <= said <= 1.1 * counted[0]
    assert counted[1] <= said <= 1.4 * counted[1]
