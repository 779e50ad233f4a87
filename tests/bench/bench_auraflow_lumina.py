"""Our AuraFlow and Lumina-Next against diffusers' on a CPU: one evaluation, a step with guidance, four steps and text.

    python tests/bench/bench_auraflow_lumina.py

Same weights and one process; processor time of one thread, both sides in turn, the least of several rounds: other work
on the machine matters little. "Beside the network" is what a step of ours costs outside the transformer's forward.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from diffusers import AuraFlowTransformer2DModel, FlowMatchEulerDiscreteScheduler, LuminaNextDiT2DModel
from diffusers.models.embeddings import get_2d_rotary_pos_embed_lumina
from torch import Tensor, nn

from nodes.models.auraflow import defaults as aura_defaults
from nodes.models.auraflow import keys as aura_keys
from nodes.models.auraflow import transformer as aura
from nodes.models.lumina import defaults as lumina_defaults
from nodes.models.lumina import keys as lumina_keys
from nodes.models.lumina import transformer as lumina
from nodes.models.sampling.guidance import cfg_of
from nodes.models.sampling.loop import sample, visited
from nodes.models.sampling.solvers import SOLVERS
from nodes.models.weights.part import Part
from nodes.models.weights.tensor import Header, TensorInfo

SIDE, STEPS = 32, 4
"""Cells of a latent's side (a picture of 256 pixels), steps of a picture."""


def compare(name: str, theirs: Callable[[], object], ours: Callable[[], object], rounds: int = 7) -> None:
    """Print milliseconds of both and their ratio."""
    least = [float("inf"), float("inf")]
    for _ in range(rounds + 1):  # the first round warms up
        for side, run in enumerate((theirs, ours)):
            start = time.process_time()
            run()
            least[side] = min(least[side], time.process_time() - start)
    print(f"{name:<46}{least[0] * 1e3:9.2f}{least[1] * 1e3:9.2f}{least[0] / least[1]:8.2f}x")


def copied(theirs: nn.Module, keys: Any, build: Callable[[Any], nn.Module], config: dict[str, Any]) -> Any:
    """Our network with the weights of theirs, by the names a file would have."""
    state = {name: tensor.detach() for name, tensor in theirs.state_dict().items()}
    infos = {n: TensorInfo(n, "F32", tuple(t.shape), None, 0, t.nbytes) for n, t in state.items()}  # type: ignore[arg-type]
    part: Part = keys.match(Header(None, "folder", infos, {}, config))  # type: ignore[arg-type]
    net = build(part.config)
    pieces = keys.rename(part)
    net.load_state_dict(
        {name: torch.cat([state[p.name][p.start : p.stop] for p in source]) for name, source in pieces.items()}
    )
    return net.eval().requires_grad_(False)


def euler(x: Tensor, sigmas: list[float], velocity: Callable[[Tensor, Tensor], Tensor], shift: float) -> Tensor:
    """diffusers' loop."""
    scheduler = FlowMatchEulerDiscreteScheduler(shift=shift)
    scheduler.set_timesteps(STEPS)
    for t in scheduler.timesteps:
        x = scheduler.step(velocity(x, t), t, x, return_dict=False)[0]
    return x


def rows(
    name: str,
    their_forward: Callable[[Tensor, Tensor, Tensor], Tensor],
    speak: Callable[..., Any],
    told: Callable[[int], dict[str, Tensor]],
    both: Callable[[Tensor, float], Tensor],
    schedule: Any,
    channels: int,
) -> None:
    """One family's rows; `their_forward(x, sigma, texts)` is one evaluation, `both` guides as their pipeline does."""
    x, sigmas = torch.randn(1, 4, SIDE, SIDE), schedule.sigmas(STEPS, 0)
    asked = visited(SOLVERS["euler"], sigmas)
    one, negative = told(1), told(2)

    def mine(conditioning: Any, shape: Any) -> Any:
        return speak(conditioning, shape, asked)

    alone = mine(one, x.shape)
    guided = cfg_of(mine, one, negative, x.shape, 4.0, channels)
    level = torch.tensor(asked[1])
    compare(f"{name}: one evaluation", lambda: their_forward(x, level, None), lambda: alone(x, asked[1]))
    compare(f"{name}: a step with guidance", lambda: both(x, float(level)), lambda: guided(x, asked[1]))

    def whole() -> Tensor:
        v = cfg_of(mine, one, negative, x.shape, 4.0, channels)
        *_, last = sample(v, x, sigmas, SOLVERS["euler"])
        return last.x

    compare(
        f"{name}: four steps with preparation",
        lambda: euler(x, sigmas, lambda x, t: both(x, float(t / 1000)), schedule.shift),
        whole,
        rounds=4,
    )
    difference = (whole() - euler(x, sigmas, lambda x, t: both(x, float(t / 1000)), schedule.shift)).abs().max()
    print(f"{name}: largest difference {float(difference):.1e}")


@torch.no_grad()
def auraflow(filled: int, length: int = 256) -> None:
    """A model of 512 features; a prompt of `filled` tokens, padded to `length`."""
    torch.manual_seed(0)
    theirs = AuraFlowTransformer2DModel(
        sample_size=64, num_mmdit_layers=2, num_single_dit_layers=8, attention_head_dim=128, num_attention_heads=4,
        joint_attention_dim=256, caption_projection_dim=512, pos_embed_max_size=1024,
    ).eval()  # fmt: skip
    net = copied(theirs, aura_keys, aura.Transformer, {"num_attention_heads": 4})

    def told(seed: int) -> dict[str, Tensor]:
        text = torch.randn(1, length, 256, generator=torch.Generator().manual_seed(seed))
        text[:, filled if seed == 1 else 1 :] = 0
        return {"text": text}

    def forward(x: Tensor, sigma: Tensor, texts: Tensor | None) -> Tensor:
        texts = told(1)["text"] if texts is None else texts
        return theirs(x, encoder_hidden_states=texts, timestep=sigma.expand(len(x)), return_dict=False)[0]

    pair = torch.cat((told(2)["text"], told(1)["text"]))

    def both(x: Tensor, sigma: float) -> Tensor:
        away, towards = forward(torch.cat((x, x)), torch.tensor(sigma), pair).chunk(2)
        return away + 4.0 * (towards - away)

    def speak(conditioning: Any, shape: Any, asked: Any) -> Any:
        return aura.velocity(net, conditioning, shape, asked)

    rows(f"AuraFlow, {filled} of {length} tokens", forward, speak, told, both, aura_defaults.RELEASED.schedule, 0)


@torch.no_grad()
def lumina_next(filled: int) -> None:
    """A model of 576 features and 8 heads, of which 2 have keys."""
    torch.manual_seed(0)
    theirs = LuminaNextDiT2DModel(
        sample_size=SIDE, hidden_size=576, num_layers=6, num_attention_heads=8, num_kv_heads=2, cross_attention_dim=256
    ).eval()
    theirs.pad_token.zero_()
    for layer in theirs.layers:
        layer.gate.fill_(0.5)
        layer.attn2.to_q.load_state_dict(layer.attn1.to_q.state_dict())
    net = copied(theirs, lumina_keys, lumina.Transformer, {"sample_size": SIDE})
    length = -(-filled // 8) * 8

    def told(seed: int) -> dict[str, Tensor]:
        text = torch.randn(1, length, 256, generator=torch.Generator().manual_seed(seed))
        return {"text": text, "mask": (torch.arange(length) < (filled if seed == 1 else 1))[None].long()}

    one, other = told(1), told(2)
    pair = {name: torch.cat((one[name], other[name])) for name in one}

    def forward(x: Tensor, sigma: Tensor, texts: Any) -> Tensor:
        texts = one if texts is None else texts
        return -theirs(
            x, timestep=(1 - sigma).expand(len(x)), encoder_hidden_states=texts["text"], encoder_mask=texts["mask"],
            image_rotary_emb=get_2d_rotary_pos_embed_lumina(72, 384, 384),
            cross_attention_kwargs={"base_sequence_length": (SIDE // 2) ** 2}, return_dict=False,
        )[0].chunk(2, dim=1)[0]  # fmt: skip

    def both(x: Tensor, sigma: float) -> Tensor:
        towards, away = forward(torch.cat((x, x)), torch.tensor(sigma), pair).chunk(2)
        guided = away + 4.0 * (towards - away)
        return torch.cat((guided[:, :3], towards[:, 3:]), dim=1)

    def speak(conditioning: Any, shape: Any, asked: Any) -> Any:
        return lumina.velocity(net, conditioning, shape, asked)

    rows(f"Lumina-Next, {filled} tokens", forward, speak, told, both, lumina_defaults.RELEASED.schedule, 3)


def main() -> None:
    torch.set_num_threads(1)
    print(f"{'milliseconds of one thread':<46}{'diffusers':>9}{'ours':>9}")
    for filled in (20, 250):
        auraflow(filled)
    for filled in (20, 250):
        lumina_next(filled)


if __name__ == "__main__":
    main()
