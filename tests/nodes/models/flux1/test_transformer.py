"""The transformer by itself: sizes, what may be computed once, what a step may not do."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from graph_runtime.problem import Refused
from nodes.models.flux1.config import Config
from nodes.models.flux1.transformer import Transformer, image_ids, pack, text_ids, unpack, velocity
from nodes.models.sampling.loop import sample, visited
from nodes.models.sampling.noise import noise
from nodes.models.sampling.schedule import Schedule
from nodes.models.sampling.solvers import SOLVERS

SIGMAS = Schedule(dynamic=True).sigmas(4, 24)


@pytest.fixture(scope="module")
def net() -> Transformer:
    torch.manual_seed(0)
    return Transformer(Config.tiny()).eval().requires_grad_(False)


def conditioning(prompts: int = 1, length: int = 5, seed: int = 3) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "text": torch.randn(prompts, length, 48, generator=generator),
        "pooled": torch.randn(prompts, 32, generator=generator),
    }


@pytest.mark.parametrize(
    ("config", "parameters", "tensors"),
    [
        (Config.schnell(), 11_891_178_560, 776),
        (Config.dev(), 11_901_408_320, 780),
        (Config(in_channels=128), 11_901_604_928, 780),
        (Config(in_channels=384), 11_902_391_360, 780),
    ],
    ids=["schnell", "dev", "control", "fill"],
)
def test_full_size_is_the_published_size(config: Config, parameters: int, tensors: int) -> None:
    """Published files hold 1156 and 1160 tensors under diffusers' names, with queries, keys and values apart."""
    with torch.device("meta"):
        net = Transformer(config)
    assert sum(p.numel() for p in net.parameters()) == parameters
    assert len(net.state_dict()) == tensors


def test_a_quarter_of_the_weights_is_read_before_the_loop_only() -> None:
    with torch.device("meta"):
        net = Transformer(Config.schnell())
    early = frozenset(net.before_loop())
    share = sum(p.numel() for name, p in net.named_parameters() if name in early) / 11_891_178_560
    assert 0.27 < share < 0.28


def test_modulation_of_all_steps_at_once_is_that_of_each(net: Transformer) -> None:
    t, pooled = torch.tensor([1.0, 0.7, 0.2]), conditioning(3)["pooled"]
    guidance = torch.tensor([3.5, 1.0, 0.0])
    together = net.modulation(net.vector(t, pooled, guidance))
    for i in range(3):
        alone = net.modulation(net.vector(t[i : i + 1], pooled[i : i + 1], guidance[i : i + 1])).at(0)
        step = together.at(i)
        for (img, txt), (img_alone, txt_alone) in zip(step.double, alone.double, strict=True):
            assert torch.allclose(img, img_alone, atol=1e-6) and torch.allclose(txt, txt_alone, atol=1e-6)
        for one, one_alone in zip(step.single, alone.single, strict=True):
            assert torch.allclose(one, one_alone, atol=1e-6)
        assert torch.allclose(step.final, alone.final, atol=1e-6)


@pytest.mark.parametrize("name", ["euler", "heun", "midpoint", "res_2s", "unipc"])
def test_sampling_goes_on_without_the_weights_that_were_read_before(name: str) -> None:
    torch.manual_seed(0)
    net, solver = Transformer(Config.tiny()).eval().requires_grad_(False), SOLVERS[name]
    x = noise((1, 16, 8, 12), 1)
    *_, usual = sample(velocity(net, conditioning(), x.shape, visited(solver, SIGMAS)), x, SIGMAS, solver)
    v = velocity(net, conditioning(), x.shape, visited(solver, SIGMAS))
    for parameter in net.before_loop():
        net.get_parameter(parameter).fill_(float("nan"))
    *_, without = sample(v, x, SIGMAS, solver)
    assert torch.equal(usual.x, without.x)


def test_a_sigma_that_was_not_announced_is_answered_alike(net: Transformer) -> None:
    x = noise((2, 16, 4, 6), 1)
    announced = velocity(net, conditioning(2), x.shape, [1.0, 0.37])
    late = velocity(net, conditioning(2), x.shape, [1.0])
    assert torch.allclose(announced(x, 0.37), late(x, 0.37), atol=1e-6)


class Asked(TorchDispatchMode):
    """Counts what makes the host wait for a device: reading a number, a shape that depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        if func._schema.name in ("aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero", "aten::equal"):
            self.found.append(func._schema.name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", SOLVERS)
def test_no_step_waits_for_the_device(net: Transformer, name: str) -> None:
    x, solver = noise((1, 16, 4, 6), 1), SOLVERS[name]
    v = velocity(net, conditioning(), x.shape, visited(solver, SIGMAS))
    with Asked() as asked:
        list(sample(v, x, SIGMAS, solver, seed=1))
    assert asked.found == []


def test_prompts_are_repeated_one_by_one_to_fill_the_batch(net: Transformer) -> None:
    x, both = noise((4, 16, 4, 6), 1), conditioning(2)
    together = velocity(net, both, x.shape, [0.5])(x, 0.5)
    for image, prompt in enumerate((0, 0, 1, 1)):
        one = {name: tensor[prompt : prompt + 1] for name, tensor in both.items()}
        alone = velocity(net, one, (1, 16, 4, 6), [0.5])(x[image : image + 1], 0.5)
        assert torch.allclose(together[image : image + 1], alone, atol=1e-5)


def test_a_conditioning_may_bring_its_own_guidance(net: Transformer) -> None:
    x = noise((1, 16, 4, 6), 1)
    own = conditioning() | {"guidance": torch.tensor([7.0])}
    assert torch.equal(
        velocity(net, own, x.shape, [0.5], 3.5)(x, 0.5), velocity(net, conditioning(), x.shape, [0.5], 7.0)(x, 0.5)
    )


def test_a_model_without_guidance_ignores_it() -> None:
    torch.manual_seed(0)
    net, x = Transformer(Config.tiny(guidance=False)), noise((1, 16, 4, 6), 1)
    one, other = (velocity(net, conditioning(), x.shape, [0.5], g)(x, 0.5) for g in (0.0, 9.0))
    assert torch.equal(one, other)


def test_every_parameter_can_be_trained() -> None:
    torch.manual_seed(0)
    net = Transformer(Config.tiny())
    given = conditioning(2)
    modulation = net.modulation(net.vector(torch.rand(2), given["pooled"], torch.ones(2)))
    angles = net.angles(image_ids(2, 3), text_ids(5))
    net(torch.randn(2, 6, 64), net.txt_in(given["text"]), modulation, angles).square().mean().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_packing_and_unpacking_undo_each_other() -> None:
    latent = noise((2, 16, 6, 10), 1)
    tokens = pack(latent)
    assert tokens.shape == (2, 15, 64)
    assert torch.equal(unpack(tokens, 6, 10), latent)
    # Features run over channel, then row, then column of the 2 × 2 cells.
    assert torch.equal(tokens[0, 7, 5 * 4 : 5 * 4 + 4], latent[0, 5, 2:4, 4:6].flatten())


def test_positions_run_row_by_row() -> None:
    assert image_ids(2, 3).tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 2], [0, 1, 0], [0, 1, 1], [0, 1, 2]]


def test_float16_never_leaves_its_range() -> None:
    torch.manual_seed(0)
    net = Transformer(Config.tiny()).half().requires_grad_(False)
    net.double_blocks[0].txt_attn.proj.bias.fill_(60000)
    net.double_blocks[1].txt_mlp[2].bias.fill_(60000)
    x = noise((1, 16, 4, 6), 1)
    assert velocity(net, conditioning(), x.shape, [0.5])(x, 0.5).isfinite().all()


@pytest.mark.parametrize(
    ("shape", "prompts", "said"),
    [
        ((1, 16, 5, 6), 1, "multiples of 16 pixels"),
        ((1, 4, 4, 6), 1, "4 channels, this model takes 16"),
        ((3, 16, 4, 6), 2, "2 texts"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(
    net: Transformer, shape: tuple[int, ...], prompts: int, said: str
) -> None:
    with pytest.raises(Refused, match=said):
        velocity(net, conditioning(prompts), shape, [0.5])


def test_text_of_another_model_is_refused(net: Transformer) -> None:
    with pytest.raises(Refused, match="48 and 32"):
        velocity(net, {"text": torch.zeros(1, 5, 40), "pooled": torch.zeros(1, 32)}, (1, 16, 4, 6), [0.5])
