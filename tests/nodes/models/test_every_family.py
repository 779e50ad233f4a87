"""What every family must do. A new one is an entry in `families.EXAMPLES`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from graph_runtime.problem import Refused
from nodes.models.family import FAMILIES, detect, inspect
from nodes.models.layers.packed import PackedLinear
from nodes.models.load import ENCODERS, load_transformer
from nodes.models.sampling.guidance import cfg, cfg_of
from nodes.models.sampling.loop import sample, visited
from nodes.models.sampling.noise import noise
from nodes.models.sampling.schedule import SPACINGS
from nodes.models.sampling.solvers import SOLVERS

from . import checkpoints as made
from .asked import Asked
from .families import EXAMPLES, Example, meta_state, unnamed
from .headers import header

SIGMAS = [1.0, 0.7, 0.35, 0.0]
PREFIXES = ("", "model.", "model.diffusion_model.", "diffusion_model.", "transformer.")


def test_every_family_is_tested() -> None:
    assert {family.name for family in FAMILIES} == {example.family.name for example in EXAMPLES.values()}
    assert all(example.name == name for name, example in EXAMPLES.items())


@pytest.fixture(params=EXAMPLES)
def example(request: pytest.FixtureRequest) -> Example:
    return EXAMPLES[request.param]


def each_release() -> list[Any]:
    return [
        pytest.param(example, variant, diffusers, id=f"{name}-{variant}-{'diffusers' if diffusers else 'original'}")
        for name, example in EXAMPLES.items()
        for variant in example.published
        for diffusers in ((False,) if example.diffusers is unnamed else (False, True))
    ]


def net_of(example: Example) -> Any:
    torch.manual_seed(0)
    net = example.family.transformer.Transformer(example.config).eval().requires_grad_(False)
    for parameter in net.parameters():
        if parameter.ndim == 1:
            parameter.add_(0.1 * torch.randn_like(parameter))
    return net


def space(example: Example, batch: int = 1, height: int = 4, width: int = 6) -> tuple[int, int, int, int]:
    return batch, example.config.latent_channels, height, width


def test_it_says_what_it_reads_with_and_what_it_is_best_used_with(example: Example) -> None:
    defaults, config = example.family.defaults, example.config
    reads_with = example.family.encoders(config)
    assert reads_with and reads_with in example.family.readings and all(kind in ENCODERS for kind in reads_with)
    assert defaults.LATENT.channels == config.latent_channels
    usual = defaults.defaults(config)
    assert usual.solver in SOLVERS and usual.schedule.spacing in SPACINGS
    assert usual.size % usual.multiple == 0 and usual.multiple == defaults.LATENT.patch * defaults.LATENT.downscale
    assert usual.steps > 0 and 0 < usual.text_length <= 4096 and dataclasses.is_dataclass(usual)
    assert config.guidance in (True, False) and not config.wants_picture
    sigmas = usual.schedule.sigmas(usual.steps, 1024)
    assert sigmas[0] == 1 and sigmas[-1] == 0


def test_it_knows_the_colours_of_each_of_its_channels_or_of_none(example: Example) -> None:
    from importlib import import_module

    rows = import_module(f"{example.family.package}.preview").COLOURS
    assert len(rows) in (0, example.config.latent_channels + 1) and {len(row) for row in rows} <= {3}


@pytest.mark.parametrize(("example", "variant", "diffusers"), each_release())
def test_every_release_is_known_by_its_shapes_alone(example: Example, variant: str, diffusers: bool) -> None:
    """Exact key sets, shapes and counts of the published files, at full size."""
    config, parameters, tensors, tensors_diffusers = example.published[variant]
    truth = meta_state(example, config)
    assert (sum(t.numel() for t in truth.values()), len(truth)) == (parameters, tensors)
    state = example.diffusers(truth, config) if diffusers else truth
    assert len(state) == (tensors_diffusers if diffusers else tensors)
    part = example.family.keys.match(header({name: tuple(t.shape) for name, t in state.items()}))
    assert part is not None and part.config == config
    assert part.layout == ("diffusers" if diffusers else "original")
    renamed = example.family.keys.rename(part)
    assert renamed.keys() == truth.keys()
    copies = example.family.keys.copies(part) if hasattr(example.family.keys, "copies") else {}
    assert {piece.name for source in renamed.values() for piece in source} | copies.keys() == state.keys()


def holds(module: nn.Module, truth: dict[str, Tensor]) -> None:
    found = dict(module.named_parameters())
    assert found.keys() == truth.keys()
    assert [name for name, wanted in truth.items() if not torch.equal(found[name], wanted)] == []


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_transformer_is_the_same_under_every_prefix_and_naming(prefix: str, example: Example, tmp_path: Path) -> None:
    truth = example.state()
    beside = {"vae.decoder.conv_in.weight": torch.zeros(1)} if prefix else {}
    for i, state in enumerate((truth, example.diffusers(truth, example.config))):
        metadata = {"config": json.dumps(example.beside)}
        found = detect(made.save(tmp_path / f"{i}.safetensors", made.under(prefix, state) | beside, metadata))
        assert (found.family, found.config, found.parts["transformer"].prefix) == (
            example.family,
            example.config,
            prefix,
        )
        holds(load_transformer(found, torch.float32), truth)


def test_a_transformer_is_read_from_shards(example: Example, tmp_path: Path) -> None:
    state = example.diffusers(example.state(), example.config)
    folder = made.shards(tmp_path / "transformer", state, 3, "diffusion_pytorch_model", example.beside)
    holds(load_transformer(detect(folder), torch.float32), example.state())


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q4_0"])
def test_a_transformer_is_what_gguf_dequantises(kind: str, example: Example, tmp_path: Path) -> None:
    """With an architecture nobody knows: the names decide."""
    path, truth = made.save_gguf(tmp_path / "m.gguf", example.state(), kind, arch="pig")
    found = detect(path, config=example.beside)
    assert found.family is example.family and found.config == example.config
    holds(load_transformer(found, torch.float32), truth)


def step_of(net: nn.Module, example: Example) -> Tensor:
    x, told = noise(space(example), 1), example.told(1, 5)
    v: Tensor = example.family.transformer.velocity(net, told, x.shape, SIGMAS)(x, SIGMAS[1])
    return v


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "Q5_1"])
def test_a_transformer_that_stays_packed_is_the_same(kind: str, example: Example, tmp_path: Path) -> None:
    """The very numbers that were unpacked when it was loaded, made when they are used."""
    found = detect(made.save_gguf(tmp_path / "m.gguf", example.state(), kind)[0], config=example.beside)
    packed, unpacked = (load_transformer(found, torch.float32, storage=storage) for storage in ("packed", "unpacked"))
    assert sum(isinstance(one, PackedLinear) for one in packed.modules()) > 5
    assert torch.equal(step_of(packed, example), step_of(unpacked, example))


@pytest.mark.parametrize(("method", "off"), [("int8", 0.05), ("fp8", 0.2), ("nf4", 0.6), ("int4", 0.6)])
def test_a_transformer_packed_while_it_is_read_is_near_the_exact_one(
    method: str, off: float, example: Example, tmp_path: Path
) -> None:
    """The ends of the network stay as they are, each named by its family."""
    path = made.save(tmp_path / "m.safetensors", example.state(), {"config": json.dumps(example.beside)})
    packed, exact = (load_transformer(detect(path), torch.float32, storage=one) for one in (method, "unpacked"))
    kept = {name for name, one in packed.named_modules() if type(one) is nn.Linear}
    assert kept and all(name.startswith(example.family.keys.KEPT) for name in kept)
    came, wanted = step_of(packed, example), step_of(exact, example)
    assert 0 < (came - wanted).norm() / wanted.norm() < off


@pytest.mark.parametrize("pack", [made.scaled_fp8, made.comfy_quant, made.int8_rows])
def test_a_transformer_is_read_with_the_scales_beside_it(pack: Any, example: Example, tmp_path: Path) -> None:
    stored, truth = pack(example.state())
    path = made.save(tmp_path / "m.safetensors", stored, {"config": json.dumps(example.beside)})
    holds(load_transformer(detect(path), torch.float32), truth)


def test_no_other_family_claims_it(example: Example) -> None:
    for diffusers in (False, True):
        state = example.diffusers(example.state(), example.config) if diffusers else example.state()
        shapes = {name: tuple(t.shape) for name, t in state.items()}
        claims = [one.name for one in FAMILIES if one.keys.match(header(shapes, example.beside))]
        assert claims == [example.family.name]
        lora = {f"{name}.lora_A.weight": (4, 4) for name in shapes}
        assert not [one.name for one in FAMILIES if one.keys.match(header(shapes | lora, example.beside))]


def test_without_one_of_its_marks_a_file_is_not_claimed(example: Example) -> None:
    shapes = {name: tuple(t.shape) for name, t in example.state().items()}
    for mark in example.marks:
        without = {name: shape for name, shape in shapes.items() if name != mark}
        assert example.family.keys.match(header(without, example.beside)) is None


def test_shapes_that_cannot_be_are_refused(example: Example) -> None:
    shapes = {name: tuple(t.shape) for name, t in example.state().items()}
    for name, wrong in example.broken.items():
        for shape in wrong:
            with pytest.raises(Refused):
                example.family.keys.match(header(shapes | {name: shape}, example.beside))


def test_inspection_names_it(example: Example, tmp_path: Path) -> None:
    path = made.save(tmp_path / "m.safetensors", example.state(), {"config": json.dumps(example.beside)})
    seen = inspect(path)
    assert seen["family"] == example.family.name and seen["variant"]
    assert seen["parts"]["transformer"]["parameters"] == sum(t.numel() for t in example.state().values())


@pytest.mark.parametrize("name", ["euler", "heun", "midpoint", "unipc"])
def test_sampling_goes_on_without_the_weights_that_were_read_before(name: str, example: Example) -> None:
    net, solver = net_of(example), SOLVERS[name]
    x, told, velocity = noise(space(example), 1), example.told(1, 5), example.family.transformer.velocity
    *_, usual = sample(velocity(net, told, x.shape, visited(solver, SIGMAS)), x, SIGMAS, solver)
    v = velocity(net, told, x.shape, visited(solver, SIGMAS))
    early = net.before_loop()
    assert 0.05 < sum(net.get_parameter(n).numel() for n in early) / sum(p.numel() for p in net.parameters()) < 0.7
    for parameter in early:
        net.get_parameter(parameter).fill_(float("nan"))
    *_, without = sample(v, x, SIGMAS, solver)
    assert torch.equal(usual.x, without.x) and usual.x.isfinite().all()


def test_no_step_waits_for_the_device(example: Example) -> None:
    net, solver = net_of(example), SOLVERS["euler"]
    x = noise(space(example, 2), 1)

    def speak(told: Any, shape: Any) -> Any:
        return example.family.transformer.velocity(net, told, shape, visited(solver, SIGMAS))

    v = cfg_of(speak, example.told(1, 5), example.told(2, 5), x.shape, 3.0)
    with Asked() as asked:
        list(sample(v, x, SIGMAS, solver, seed=1))
    assert asked.found == []


def test_a_sigma_that_was_not_announced_is_answered_alike(example: Example) -> None:
    net, x, velocity = net_of(example), noise(space(example, 2), 1), example.family.transformer.velocity
    announced, late = (velocity(net, example.told(2, 5), x.shape, levels) for levels in ([1.0, 0.37], [1.0]))
    assert torch.allclose(announced(x, 0.37), late(x, 0.37), atol=1e-5)


def test_prompts_are_repeated_one_by_one_to_fill_the_batch(example: Example) -> None:
    net, velocity, both = net_of(example), example.family.transformer.velocity, example.told(2, 5)
    x = noise(space(example, 4), 1)
    together = velocity(net, both, x.shape, [0.5])(x, 0.5)
    assert together.shape == x.shape
    for image, prompt in enumerate((0, 0, 1, 1)):
        one = {name: tensor[prompt : prompt + 1] for name, tensor in both.items()}
        alone = velocity(net, one, space(example), [0.5])(x[image : image + 1], 0.5)
        assert torch.allclose(together[image : image + 1], alone, atol=1e-5)


def test_guidance_in_one_forward_is_guidance_in_two(example: Example) -> None:
    net, x = net_of(example), noise(space(example, 2), 1)
    positive = example.told(2, 5)
    negative = {name: tensor[1:] if name == "mask" else -tensor[1:] for name, tensor in example.told(2, 5).items()}
    calls = 0

    def speak(told: Any, shape: Any) -> Callable[[Tensor, float], Tensor]:
        v = example.family.transformer.velocity(net, told, shape, [0.5])

        def counted(x: Tensor, sigma: float) -> Tensor:
            nonlocal calls
            calls += 1
            return v(x, sigma)

        return counted

    together = cfg_of(speak, positive, negative, x.shape, 4.0)(x, 0.5)
    assert calls == 1
    apart = cfg(speak(positive, x.shape), speak(negative, x.shape), 4.0)(x, 0.5)
    assert calls == 3 and torch.allclose(together, apart, atol=1e-5)


@pytest.mark.parametrize(
    ("batch", "channels", "height", "texts", "said"),
    [(1, 0, 5, 1, "multiples of 16 pixels"), (1, 3, 4, 1, "(7|19|131) channels"), (3, 0, 4, 2, "2 texts")],
)
def test_what_does_not_fit_is_refused_in_words(
    batch: int, channels: int, height: int, texts: int, said: str, example: Example
) -> None:
    if height % 2 and example.family.defaults.LATENT.patch == 1:
        pytest.skip("every cell is a patch")
    shape = (batch, example.config.latent_channels + channels, height, 6)
    with pytest.raises(Refused, match=said):
        example.family.transformer.velocity(net_of(example), example.told(texts, 5), shape, [0.5])


def test_text_of_another_model_is_refused(example: Example) -> None:
    told = {name: torch.zeros(*tensor.shape[:-1], 7) if tensor.ndim == 3 else tensor for name, tensor in
            example.told(1, 5).items()}  # fmt: skip
    with pytest.raises(Refused, match="wide, this model takes"):
        example.family.transformer.velocity(net_of(example), told, space(example), [0.5])
