"""The parts of the training do what they say: steps are orthogonal, shares add up, losses fall, formats agree."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from torch import nn

from nodes.models.flux1.transformer import pack, unpack
from nodes.models.sampling.schedule import Schedule
from nodes.models.starter import families, flow_stage, vae_stage
from nodes.models.starter.checkpoint import load
from nodes.models.starter.muon import Average, Both, orthogonal
from nodes.models.starter.pace import Pace
from nodes.models.starter.sampling import Settings, sigmas
from nodes.models.starter.twins import Twins

FOLDER = Path(flow_stage.__file__).parent / "flux1"


def test_muon_makes_matrices_nearly_orthogonal() -> None:
    g = torch.randn(3, 24, 60, generator=torch.Generator().manual_seed(0))
    for matrix in (*orthogonal(g), *orthogonal(g.mT)):
        values = torch.linalg.svdvals(matrix)
        assert values.min() > 0.5 and values.max() < 1.3


def test_both_kinds_of_steps_lower_a_loss() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 4))
    x, y = torch.randn(64, 8), torch.randn(64, 4)
    best = Both(net, 1e-2, lambda name, p: name.startswith("0."))
    losses = []
    for _ in range(60):
        loss = (net(x) - y).square().mean()
        loss.backward()
        best.step()
        losses.append(float(loss))
    assert losses[-1] < 0.7 * losses[0]


def test_gradients_of_shares_are_the_gradients_of_the_batch() -> None:
    torch.manual_seed(0)
    net = nn.Linear(5, 3)
    x = torch.randn(8, 5)

    def loss_of(net: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        loss = net(x).square().mean()
        return loss, loss.detach()

    Twins(net, 1).gradients([(x,)], loss_of)
    whole, net.weight.grad = net.weight.grad.clone(), None
    Twins(net, 2).gradients([(part,) for part in x.chunk(2)], loss_of)
    assert torch.allclose(net.weight.grad, whole, atol=1e-6)


def test_the_average_follows_the_weights() -> None:
    net = nn.Linear(2, 2)
    average = Average(net, 0.9)
    with torch.no_grad():
        net.weight.fill_(3.0)
    for _ in range(200):
        average.update(net)
    assert torch.allclose(average.weights["weight"], net.weight, atol=1e-3)


def test_the_learning_rate_rises_stays_and_falls() -> None:
    rates = []
    for spent in (0, 3, 6, 30, 60):
        rates.append(Pace(1.0, spent).rate(warmup=0.1, floor=0.01, flat=0.25))
    assert rates[0] < rates[1] < rates[2] == 1.0
    assert rates[2] > rates[3] > rates[4]
    assert abs(rates[4] - 0.01) < 1e-3


def test_sigmas_run_from_one_to_zero() -> None:
    line = sigmas(Settings(steps=4, shift=2.0), Schedule())
    assert line[0] == 1.0 and line[-1] == 0.0 and len(line) == 5
    assert abs(line[2] - 2 * 0.5 / 1.5) < 1e-6


def test_the_autoencoder_learns_in_a_few_steps(tmp_path: Path) -> None:
    torch.manual_seed(0)
    vae = vae_stage.Autoencoder(vae_stage.CONFIG)
    with torch.no_grad():
        vae.encoder.conv_out.bias[16:] = -5.0
    best = Both(vae, 4e-3, lambda name, p: False)
    x = vae_stage.pictures(random.Random(0), 2)
    errors = []
    for _ in range(12):
        loss, error = vae_stage.loss_of(vae, x)
        loss.backward()
        best.step()
        errors.append(float(error))
    assert errors[-1] < 0.8 * errors[0]


def test_outlines_are_where_colours_change_and_nowhere_else() -> None:
    x = torch.full((1, 3, 32, 32), -0.9)
    x[:, 1, 10:20, 12:22] = 0.4
    near = vae_stage.outlines(x)[0, 0]
    assert near[9:21, 11].all() and near[9:21, 22].all() and near[9, 11:23].all() and near[20, 11:23].all()
    assert not near[15, 17] and not near[:6].any() and not near[25:].any()


def test_polishing_leaves_the_encoder_as_it_is() -> None:
    torch.manual_seed(0)
    vae = vae_stage.Autoencoder(vae_stage.CONFIG).requires_grad_(False)
    before = {n: p.clone() for n, p in vae.state_dict().items()}
    redrawn = torch.zeros(4, 3, 128, 128, dtype=torch.uint8), torch.zeros(4, 16, 16, 16)
    vae_stage.polish(vae, 0.05, 0, "cpu", 1, lambda **row: None, redrawn)
    changed = {n for n, p in vae.state_dict().items() if not torch.equal(p, before[n])}
    assert changed
    assert all(n.startswith("decoder.") for n in changed)


def test_a_redrawn_latent_is_still_of_its_picture() -> None:
    parts = load(FOLDER)
    pictures, latents = flow_stage.redrawn(parts, 4, 0, "cpu")
    exact = parts.vae.scaled(parts.vae.encode(pictures / 127.5 - 1)[0])
    wrong = (parts.vae.scaled(latents) - exact).square().mean((1, 2, 3)).sqrt()
    assert (wrong > 0.01).all()  # the transformer had its hand in it
    assert (wrong < 0.3).all()  # another picture's latent, of unit variance, is wrong by more than one


def test_polishing_the_transformer_leaves_it_near_where_it_was() -> None:
    parts = load(FOLDER)
    before = {n: p.clone() for n, p in parts.transformer.state_dict().items()}
    data = flow_stage.pool(parts.vae, 64, 0, "cpu", 1, flow_stage.POLISH_SHAPE_WEIGHT)
    told: list[dict[str, object]] = []
    flow_stage.polish(parts, data, 0.05, 0, "cpu", lambda **row: told.append(row))
    after = parts.transformer.state_dict()
    moved = max(float((after[n] - p).norm() / p.norm()) for n, p in before.items() if p.norm() > 1)
    assert 0 < moved < 0.1
    assert told[-1]["samples"]
    assert not any(p.requires_grad for p in parts.transformer.parameters())


@pytest.mark.parametrize("name", families.NAMES)
def test_a_fresh_transformer_says_nothing_and_its_loss_is_that_of_zero(name: str) -> None:
    starter = families.of(name)
    net = starter.fresh(0)
    x0, noise = torch.randn(2, 64, 64), torch.randn(2, 64, 64)
    text = torch.randn(2, 32, starter.CONFIG.text_width)
    told = {"text": text, "pooled": torch.randn(2, 96), "mask": torch.ones(2, 32)}
    loss_of = flow_stage.loss_for(starter)
    _, plain = loss_of(net, x0, torch.ones(2, 64), torch.tensor([0.2, 0.9]), noise, told)
    assert torch.allclose(plain, (noise - x0).square().mean(), rtol=1e-4)


def test_the_pool_weighs_tokens_that_a_shape_touches() -> None:
    vae = vae_stage.Autoencoder(vae_stage.CONFIG).requires_grad_(False)
    data = flow_stage.pool(vae, 6, 0, "cpu", 1)
    assert data.latents.shape == (6, 64, 64)
    assert torch.isfinite(data.latents).all()
    assert abs(float(data.weights.mean()) - 1) < 1e-5
    assert torch.equal(pack(unpack(data.latents.float(), 16, 16)), data.latents.float())
    for caption, weights in zip(data.captions, data.weights, strict=True):
        heavy = weights.view(8, 8) > weights.min() * 2
        thing = caption.scene.things[0]
        row, column = (24 + 40 * (thing.cell // 3)) // 16, (24 + 40 * (thing.cell % 3)) // 16
        assert heavy[row, column] or heavy[row - 1, column - 1]
