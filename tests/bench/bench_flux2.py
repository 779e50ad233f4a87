"""Our Flux.2 against diffusers' on a CPU: one evaluation, four steps, references, and text.

    python tests/bench/bench_flux2.py

Same weights and one process; processor time of one thread, both sides in turn, the least of several rounds: other work
on the machine matters little. "Beside the network" is what a step of ours costs outside the transformer's forward.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, Flux2Transformer2DModel
from torch import Tensor
from transformers import MistralConfig, MistralForCausalLM

from nodes.models.encoders.language_keys import within
from nodes.models.family import find
from nodes.models.flux2.tokens import image_ids, pack, text_ids
from nodes.models.flux2.transformer import velocity
from nodes.models.load import load_encoder, load_transformer
from nodes.models.sampling.loop import sample, visited
from nodes.models.sampling.schedule import Schedule, empirical_mu
from nodes.models.sampling.solvers import SOLVERS

SIDE, TEXT = 12, 256
"""Cells of a latent's side (a picture of 192 pixels), tokens of text with its filling."""


def compare(name: str, theirs: Callable[[], object], ours: Callable[[], object], rounds: int = 4) -> None:
    """Print milliseconds of both and their ratio."""
    least = [float("inf"), float("inf")]
    for _ in range(rounds + 1):  # the first round warms up
        for side, run in enumerate((theirs, ours)):
            start = time.process_time()
            run()
            least[side] = min(least[side], time.process_time() - start)
    print(f"{name:<46}{least[0] * 1e3:9.2f}{least[1] * 1e3:9.2f}{least[0] / least[1]:8.2f}x")


def loaded(theirs: Any, folder: Path) -> Any:
    theirs.save_pretrained(folder)
    return find(folder)


@torch.no_grad()
def transformer(folder: Path) -> None:
    """A model of 512 features with the real heads and axes."""
    torch.manual_seed(0)
    theirs = Flux2Transformer2DModel(
        num_layers=1, num_single_layers=4, attention_head_dim=128, num_attention_heads=4, joint_attention_dim=768
    ).eval()
    net = load_transformer(loaded(theirs, folder / "transformer"), torch.float32)
    x, text, shown = torch.randn(1, 128, SIDE, SIDE), torch.randn(1, TEXT, 768), torch.randn(1, 128, SIDE, SIDE)
    sigmas, solver = Schedule(dynamic=True, empirical=True).sigmas(4, SIDE * SIDE), SOLVERS["euler"]
    asked = visited(solver, sigmas)

    def forward(tokens: Tensor, sigma: Tensor, references: int) -> Tensor:
        ids = [image_ids(SIDE, SIDE, 10 * i) for i in range(references + 1)]
        tokens = torch.cat([tokens, *[pack(shown)] * references], dim=1)
        return theirs(
            hidden_states=tokens, encoder_hidden_states=text, timestep=sigma.expand(1), guidance=torch.tensor([4.0]),
            img_ids=torch.cat(ids), txt_ids=text_ids(TEXT), return_dict=False,
        )[0][:, : SIDE * SIDE]  # fmt: skip

    def their_loop() -> Tensor:
        scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)
        scheduler.set_timesteps(sigmas=[1.0, 0.75, 0.5, 0.25], mu=empirical_mu(SIDE * SIDE, 4))
        tokens = pack(x)
        for t in scheduler.timesteps:
            tokens = scheduler.step(forward(tokens, t / 1000, 0), t, tokens, return_dict=False)[0]
        return tokens

    def our_loop() -> Tensor:
        *_, last = sample(velocity(net, {"text": text}, x.shape, asked), x, sigmas, solver)
        return last.x

    level = torch.tensor(asked[1])
    for references in (0, 1, 2):
        told = {"text": text, **{f"reference.{i}": shown for i in range(references)}}
        v = velocity(net, told, x.shape, asked)
        name = f"one evaluation, {references} references"
        compare(name, lambda r=references: forward(pack(x), level, r), lambda v=v: v(x, asked[1]))  # type: ignore[misc]
        if references:
            once = velocity(net, told, x.shape, asked, references_once=True)
            compare(
                "    looked at once", lambda r=references: forward(pack(x), level, r), lambda v=once: v(x, asked[1])
            )  # type: ignore[misc]
    compare("four steps with preparation", their_loop, our_loop, rounds=3)
    print(f"largest difference {float((pack(our_loop()) - their_loop()).abs().max()):.1e}")
    beside(net, x, text, asked)


def beside(net: Any, x: Tensor, text: Tensor, asked: list[float]) -> None:
    """What a step costs beside the network: everything but `forward`, with a network that does nothing."""
    v, forward = velocity(net, {"text": text}, x.shape, asked), type(net).forward
    try:
        type(net).forward = lambda self, img, *rest: img
        least = min(_timed(lambda: v(x, asked[1])) for _ in range(200))
    finally:
        type(net).forward = forward
    print(f"{'beside the network, a step':<55}{least * 1e3:9.3f}")


def _timed(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


@torch.no_grad()
def language(folder: Path, filled: int) -> None:
    """A language model of 40 narrow layers, of which 30 are read, and a text of `filled` tokens with its filling."""
    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=1000, hidden_size=256, intermediate_size=1024, num_hidden_layers=40, num_attention_heads=8,
        num_key_value_heads=2, head_dim=32, rms_norm_eps=1e-5, sliding_window=None, tie_word_embeddings=False,
        rope_theta=1e9,
    )  # fmt: skip
    theirs = MistralForCausalLM(config).eval()
    ours: Any = load_encoder(within(loaded(theirs, folder / "text").parts["language"], 0), torch.float32)
    ids = torch.randint(20, 1000, (filled,))
    padded = torch.cat((torch.full((TEXT - filled,), 11), ids))[None]
    mask = (torch.arange(TEXT) >= TEXT - filled)[None].long()

    def their_text() -> Tensor:
        found = theirs(input_ids=padded, attention_mask=mask, output_hidden_states=True, use_cache=False).hidden_states
        return torch.cat([found[k] for k in (10, 20, 30)], dim=-1)[0]

    def our_text() -> Tensor:
        text = ours.hidden(ids, (10, 20, 30), start=TEXT - filled)
        return torch.cat((ours.alone(11, (10, 20, 30)).expand(TEXT - filled, -1), text))

    compare(f"text, {filled} of {TEXT} tokens", their_text, our_text, rounds=3)
    difference = (our_text() - their_text()).norm() / their_text().norm()
    print(f"relative difference {float(difference):.1e}")


def main() -> None:
    torch.set_num_threads(1)
    print(f"{'milliseconds of one thread':<46}{'diffusers':>9}{'ours':>9}")
    with tempfile.TemporaryDirectory() as name:
        transformer(Path(name))
        for filled in (60, 250):
            language(Path(name) / str(filled), filled)


if __name__ == "__main__":
    main()
