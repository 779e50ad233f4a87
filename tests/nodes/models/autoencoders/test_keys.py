from __future__ import annotations

from dataclasses import asdict

import pytest
import torch

from graph_runtime.problem import Refused
from nodes.models.autoencoders import keys, kl

from ..checkpoints import vae_to_diffusers
from ..headers import Shapes, header, shapes_of


def of(config: kl.Config, diffusers: bool) -> Shapes:
    with torch.device("meta"):
        module = kl.Autoencoder(config)
        state = {name: p.data for name, p in module.named_parameters()}
        state = vae_to_diffusers(state, len(config.widths)) if diffusers else state
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


@pytest.mark.parametrize("diffusers", [False, True])
@pytest.mark.parametrize("prefix", ["", "vae."])
def test_fluxs_autoencoder_is_known_by_its_shapes_alone(diffusers: bool, prefix: str) -> None:
    shapes = of(kl.Config(), diffusers)
    part = keys.match(header({prefix + name: shape for name, shape in shapes.items()}))
    assert part is not None and part.prefix == prefix and part.layout == ("diffusers" if diffusers else "original")
    assert kl.Config(**part.config) == kl.Config()
    assert (part.header.parameters, len(shapes)) == (83_819_683, 244)
    assert keys.rename(part).keys() == of(kl.Config(), False).keys()


def test_the_old_names_of_diffusers_attention_are_known() -> None:
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    shapes = of(kl.Config(), True)
    for new, name in old.items():
        shapes = {stored.replace(f"attentions.0.{new}.", f"attentions.0.{name}."): s for stored, s in shapes.items()}
    part = keys.match(header(shapes))
    assert part is not None and keys.rename(part).keys() == of(kl.Config(), False).keys()


def test_the_convolutions_around_the_latent_are_seen() -> None:
    config = kl.Config(latent=4, quant=True)
    with torch.device("meta"):
        shapes = shapes_of(kl.Autoencoder(config))
    part = keys.match(header(shapes, {"scaling_factor": 0.13025}))
    assert part is not None
    assert kl.Config(**part.config) == kl.Config(**(asdict(config) | {"scale": 0.13025, "shift": 0.0}))


def test_groups_that_do_not_divide_the_widths_are_asked_for() -> None:
    narrow = of(kl.Config.tiny(), False)
    with pytest.raises(Refused, match="32 groups"):
        keys.match(header(narrow))
    part = keys.match(header(narrow, {"norm_num_groups": 4}))
    assert part is not None and part.config["groups"] == 4
    for wrong in (0, -1, "4", 4.0, True, 10**30):
        with pytest.raises(Refused):
            keys.match(header(narrow, {"norm_num_groups": wrong}))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("encoder.conv_in.weight", (128, 3)),
        ("decoder.conv_in.weight", (512,)),
        ("encoder.down.9.block.0.conv1.weight", (1, 1, 1, 1)),
        ("encoder.down.0.block.0.conv1.weight", ()),
        ("encoder.down.1.block.0.conv1.weight", (33, 3, 3, 3)),
    ],
)
def test_shapes_that_cannot_be_are_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(Refused, match="not those of an autoencoder"):
        keys.match(header(of(kl.Config(), False) | {name: shape}))


@pytest.mark.parametrize("missing", ["encoder.conv_in.weight", "decoder.conv_in.weight", "decoder.conv_out.weight"])
def test_half_an_autoencoder_is_none(missing: str) -> None:
    shapes = of(kl.Config(), False)
    del shapes[missing]
    assert keys.match(header(shapes)) is None
