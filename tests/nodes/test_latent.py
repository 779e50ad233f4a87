"""Latents, their files, and the way between pictures and latents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from workbench import DEV, SCHNELL, Bench

from graph_runtime.problem import Refused
from nodes import conditioning
from nodes import latent as nodes
from nodes.sigmas import sigmas_from_numbers
from nodes.sockets import Conditioning, Latent, Mask, Sigmas


def some(count: int = 1, height: int = 4, width: int = 6, family: str = "flux1", seed: int = 0) -> Latent:
    return Latent(torch.randn(count, 16, height, width, generator=torch.Generator().manual_seed(seed)), family)


def half_masked(latent: Latent) -> Latent:
    height, width = latent.samples.shape[2:]
    values = torch.zeros(1, height * 8, width * 8)
    values[..., width * 4 :] = 1
    return nodes.set_latent_mask(latent, Mask(values))


def test_a_mix_lies_on_the_line_between() -> None:
    a, b = some(seed=1), some(seed=2)
    assert torch.equal(nodes.mix_latents(a, b, amount=0).samples, a.samples)
    assert torch.allclose(nodes.mix_latents(a, b, amount=1).samples, b.samples)
    assert torch.allclose(nodes.mix_latents(a, b).samples, (a.samples + b.samples) / 2)


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (some(family="flux2"), "one latent is of flux1, the other of flux2"),
        (some(height=6), "the latents differ"),
        (Latent(torch.zeros(1, 4, 4, 6)), "16 channels, the other 4"),
    ],
)
def test_latents_that_do_not_go_together_are_refused_with_both_names(other: Latent, says: str) -> None:
    with pytest.raises(Refused, match=says):
        nodes.mix_latents(some(), other)
    with pytest.raises(Refused):
        nodes.batch_latents([some(), other])


def test_batching_repeating_and_picking_keep_each_mask_with_its_latent() -> None:
    batch = nodes.batch_latents([some(), half_masked(some(seed=1))])
    assert batch.mask is not None
    assert batch.mask.mean(dim=(1, 2)).tolist() == [1, 0.5]
    twice = nodes.repeat_latent(batch, times=2)
    assert len(twice) == 4
    last = nodes.pick_latents(twice, first=-1)
    assert torch.equal(last.samples, batch.samples[1:])
    assert last.mask is not None
    assert last.mask.mean() == 0.5


def test_cropping_and_turning_change_samples_and_mask_alike() -> None:
    latent = half_masked(some())
    right = nodes.crop_latent(latent, x=24, width=24)
    assert torch.equal(right.samples, latent.samples[..., 3:])
    assert right.mask is not None
    assert right.mask.min() == 1
    turned = nodes.turn_latent(latent, turn="right", flip="over")
    back = nodes.turn_latent(nodes.turn_latent(turned, flip="over"), turn="left")
    assert torch.equal(back.samples, latent.samples)
    assert torch.equal(back.mask, latent.mask)  # type: ignore[arg-type]
    with pytest.raises(Refused, match="leaves the latent of 48×32"):
        nodes.crop_latent(latent, x=32, width=32)


def test_scaling_gives_the_size_of_the_picture_asked_for() -> None:
    latent = half_masked(some())
    larger = nodes.scale_latent(latent, width=96)
    assert larger.samples.shape == (1, 16, 8, 12)
    assert larger.mask is not None
    assert larger.mask.shape == (1, 8, 12)
    assert nodes.scale_latent(latent) is latent


def test_a_mask_in_other_proportions_is_refused_and_any_size_in_the_same_is_taken() -> None:
    with pytest.raises(Refused, match="a mask of 32×32 was given for a picture of 48×32"):
        nodes.set_latent_mask(some(), Mask(torch.ones(1, 32, 32)))
    with pytest.raises(Refused, match="2 masks came with 3"):
        nodes.set_latent_mask(some(3), Mask(torch.ones(2, 32, 48)))
    assert nodes.set_latent_mask(some(), Mask(torch.ones(1, 64, 96))).mask.mean() == 1  # type: ignore[union-attr]


def test_noise_is_each_picture_s_own_or_one_draw() -> None:
    own, together = nodes.noise(some(3), seed=4).samples, nodes.noise(some(3), seed=4, together=True).samples
    assert torch.equal(own[1], nodes.noise(some(1), seed=5).samples[0])
    assert torch.equal(together[0], own[0])
    assert not torch.equal(together[1], own[1])
    halfway = nodes.add_noise(some(), nodes.noise(some(), seed=1), sigma=0.25).samples
    assert torch.allclose(halfway, 0.25 * nodes.noise(some(), seed=1).samples + 0.75 * some().samples)


@pytest.mark.parametrize("numbers", [(1.0,), (1.0, 1.0, 0.0), (0.0, 1.0), (1.5, 0.0), (1.0, -0.1), ()])
def test_levels_that_do_not_fall_are_refused(numbers: tuple[float, ...]) -> None:
    with pytest.raises(Refused, match="do not fall"):
        sigmas_from_numbers(numbers=numbers)


def test_values_survive_the_disk() -> None:
    for value in (half_masked(some()), Conditioning("flux1", {"text": torch.ones(1, 2, 3)}, "x"), Sigmas((1, 0.5, 0))):
        facts, tensors = value.to_parts()
        back = type(value).from_parts(facts, tensors)
        assert back.summary() == value.summary()
        assert back.to_parts()[0] == facts


def test_conditionings_of_two_families_are_refused_with_both_names() -> None:
    a, b = (Conditioning(name, {"text": torch.ones(1, 2, 3)}) for name in ("flux1", "flux2"))
    for combine in (conditioning.mix_conditionings, lambda a, b: conditioning.batch_conditionings([a, b])):
        with pytest.raises(Refused, match="encoded for flux1, the other for flux2"):
            combine(a, b)
    with pytest.raises(Refused, match="same max_length"):
        conditioning.mix_conditionings(a, Conditioning("flux1", {"text": torch.ones(1, 5, 3)}))
    mixed = conditioning.mix_conditionings(a, Conditioning("flux1", {"text": torch.zeros(1, 2, 3)}), amount=0.25)
    assert mixed.tensors["text"].mean() == 0.75


def saved(bench: Bench, steps: dict[str, Any], step: str = "save") -> Path:
    return Path(bench.good(steps, step).one(step).paths[0])


@pytest.mark.parametrize("form", ["latentloom", "comfyui"])
def test_a_saved_latent_is_loaded_as_it_was(form: str, bench: Bench) -> None:
    steps = {
        "load": ("load_checkpoint", {"file": SCHNELL}),
        "empty": ("empty_latent", {"model": "@load.model", "width": 48, "height": 32, "count": 2}),
        "noise": ("noise", {"latent": "@empty.latent", "seed": 1}),
        "save": ("save_latent", {"latent": "@noise.latent", "format": form}),
    }
    path = saved(bench, steps)
    again = bench.good({"load": ("load_latent", {"file": path.name})}, "load").one("load")
    assert again.family == "flux1"
    assert torch.allclose(again.samples, bench.good(steps, "noise").one("noise").samples, atol=1e-6)
    assert "save" not in bench.good(steps).computed


def test_comfyui_s_own_latents_are_scaled_to_ours(bench: Bench) -> None:
    folder = bench.home / "input"
    folder.mkdir()
    z = torch.randn(1, 16, 4, 4)
    safetensors.torch.save_file(
        {"latent_tensor": z, "latent_format_version_0": torch.tensor([])}, folder / "new.latent"
    )
    safetensors.torch.save_file({"latent_tensor": z * 0.18215}, folder / "old.latent")
    for name in ("new", "old"):
        loaded = bench.good({"load": ("load_latent", {"file": f"{name}.latent"})}, "load").one("load")
        assert torch.allclose(loaded.samples, (z - 0.1159) * 0.3611, atol=1e-5)


def test_files_of_another_kind_are_refused(bench: Bench) -> None:
    folder = bench.home / "input"
    folder.mkdir()
    (folder / "text.safetensors").write_text("hello")
    (folder / "pickle.latent").write_bytes(b"\x80\x04}q\x00.")
    safetensors.torch.save_file({"latent_tensor": torch.zeros(1, 5, 2, 2)}, folder / "five.latent")
    safetensors.torch.save_file({"weight": torch.zeros(2)}, folder / "model.safetensors")
    for name in ("text.safetensors", "pickle.latent", "five.latent", "model.safetensors", "none.latent", ""):
        for kind in ("latent", "conditioning"):
            ran = bench.run({"load": (f"load_{kind}", {"file": name})}, "load")
            assert ran.status == "failed"
            assert ran.problems[0].fix


def test_a_saved_text_paints_the_same_without_its_encoders(bench: Bench) -> None:
    steps = {
        "load": ("load_checkpoint", {"file": DEV}),
        "text": (
            "encode_text_t5",
            {
                "text_encoder": "@load.text_encoder",
                "clip_prompt": "a",
                "t5_prompt": "b",
                "max_length": 4,
                "guidance": 2,
            },
        ),
        "save": ("save_conditioning", {"conditioning": "@text.conditioning"}),
    }
    path = saved(bench, steps)
    loaded = bench.good({"load": ("load_conditioning", {"file": path.name})}, "load").one("load")
    made = bench.good(steps, "text").one("text")
    assert loaded.tensors.keys() == made.tensors.keys() == {"text", "pooled", "guidance"}
    assert all(torch.equal(loaded.tensors[name], made.tensors[name]) for name in made.tensors)
    assert loaded.family == "flux1"


def test_a_picture_is_encoded_decoded_and_tiled(bench: Bench) -> None:
    steps = {
        "load": ("load_checkpoint", {"file": SCHNELL}),
        "grey": ("solid_image", {"width": 70, "height": 49, "color": "#4080c0", "count": 2}),
        "in": ("encode", {"image": "@grey.image", "vae": "@load.vae"}),
        "drawn": ("encode", {"image": "@grey.image", "vae": "@load.vae", "draw": True, "seed": 3}),
        "tiles": ("encode_tiled", {"image": "@grey.image", "vae": "@load.vae", "tile": 64}),
        "out": ("decode", {"latent": "@in.latent", "vae": "@load.vae"}),
        "whole": ("decode_tiled", {"latent": "@in.latent", "vae": "@load.vae", "tile": 1024}),
        "small": ("decode_tiled", {"latent": "@in.latent", "vae": "@load.vae", "tile": 64}),
    }
    ran = bench.good(steps, "in", "drawn", "tiles", "out", "whole", "small")
    assert ran.one("in").samples.shape == ran.one("tiles").samples.shape == (2, 16, 6, 8)
    assert "the middle 64×48 is used" in ran.logs
    assert not torch.equal(ran.one("in").samples, ran.one("drawn").samples)
    assert ran.one("out").size == (64, 48)
    assert torch.allclose(ran.one("out").pixels, ran.one("whole").pixels, atol=1e-5)
    assert ran.one("small").size == (64, 48)


def test_a_latent_of_other_channels_is_refused_by_the_vae(bench: Bench) -> None:
    folder = bench.home / "input"
    folder.mkdir()
    facts = {"format": "latentloom.latent.1", "family": "flux1"}
    safetensors.torch.save_file({"samples": torch.zeros(1, 4, 4, 4)}, folder / "four.safetensors", facts)
    steps = {
        "load": ("load_checkpoint", {"file": SCHNELL}),
        "four": ("load_latent", {"file": "four.safetensors"}),
        "text": ("encode_text", {"text_encoder": "@load.text_encoder", "prompt": "a", "max_length": 4}),
        "paint": ("sample", {"model": "@load.model", "positive": "@text.conditioning", "latent": "@four.latent"}),
        "out": ("decode", {"latent": "@four.latent", "vae": "@load.vae"}),
    }
    assert "has 4 channels, tiny-schnell takes 16" in str(bench.run(steps, "out").problems[0])
    assert "has 4 channels, tiny-schnell paints 16" in str(bench.run(steps, "paint").problems[0])
