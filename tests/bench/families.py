"""All four families beside diffusers on a CPU: text, one evaluation, a whole step, four steps, a whole picture.

    python tests/bench/families.py [--family flux1 auraflow lumina flux2] [--rounds 5] [--seconds 7]

Pipelines of diffusers with random weights are saved and loaded by our loaders, so both sides have the same weights and
run in one process, in turn; processor time of one thread, the least of the rounds: other work on the machine matters
little. A row takes rounds until it has taken its seconds, at least two. Transformers have 512 or 576 features in the
real heads; text encoders and autoencoders are narrow.

    text          a prompt to what the transformer reads, and the negative's where there is one
    evaluation    the transformer as the pipeline calls it in a step, with guidance where it is on
    one step      from texts' features to the latent after one step, with all that is made before the loop
    four steps    the same with four
    picture       prompt to pixels in four steps
    host          what a step of ours costs beside the network: a network that does nothing, in 50 steps
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1] / "parity"))

import oracle
import oracle_auraflow
import oracle_flux2
import oracle_lumina
from diffusers import AuraFlowTransformer2DModel, Flux2Transformer2DModel, FluxTransformer2DModel, LuminaNextDiT2DModel

from nodes.models.family import family_named, find
from nodes.models.load import load_transformer
from nodes.models.sampling.guidance import cfg_of
from nodes.models.sampling.loop import sample, visited
from nodes.models.sampling.noise import noise
from nodes.models.sampling.schedule import Schedule
from nodes.models.sampling.solvers import SOLVERS

SIDE, TEXT, SEED = 192, 256, 5
"""Pixels of a side, tokens of text at most, seed of the noise."""
EULER = SOLVERS["euler"]


@dataclass
class Sides:
    """One family with both sides ready.

    cfg       guidance by a negative; 0 without;  channels  of a latent that it guides, 0 for all
    options   of their pipeline's call
    """

    name: str
    pipe: Any
    net: Any
    text: Any
    vae: Any
    schedule: Schedule
    latent: tuple[int, int, int, int]
    cfg: float
    channels: int
    options: dict[str, Any]

    @property
    def velocity(self) -> Callable[..., Any]:
        found: Callable[..., Any] = family_named(self.name).transformer.velocity
        return found

    def told(self, prompt: str) -> list[dict[str, Tensor]]:
        """What ours reads: the prompt, and the negative where there is one."""
        how = {} if self.name == "lumina" else {"max_length": TEXT}
        texts = [prompt, ""] if self.cfg else [prompt]
        return [self.text([one], **how).tensors for one in texts]

    def guided(self, told: list[dict[str, Tensor]], asked: list[float]) -> Any:
        if not self.cfg:
            return self.velocity(self.net, told[0], self.latent, asked)
        speak = lambda one, shape: self.velocity(self.net, one, shape, asked)  # noqa: E731
        return cfg_of(speak, told[0], told[1], self.latent, self.cfg, self.channels)

    def sigmas(self, steps: int) -> list[float]:
        *_, height, width = self.latent
        cells = 1 if self.name == "flux2" else 4
        return self.schedule.sigmas(steps, height * width // cells)

    def latents(self, told: list[dict[str, Tensor]], steps: int) -> Tensor:
        x, sigmas = noise(self.latent, SEED), self.sigmas(steps)
        *_, last = sample(self.guided(told, visited(EULER, sigmas)), x, sigmas, EULER)
        found: Tensor = last.x
        return found

    def picture(self, prompt: str, steps: int) -> Tensor:
        latent = self.latents(self.told(prompt), steps)
        found: Tensor = (self.vae.decode(self.vae.unscaled(latent)) / 2 + 0.5).clamp(0, 1)
        return found

    def their_text(self, prompt: str) -> dict[str, Tensor]:
        """As their pipeline takes it."""
        if self.name == "flux1":
            text, pooled, _ = self.pipe.encode_prompt(prompt, None, max_sequence_length=TEXT)
            return {"prompt_embeds": text, "pooled_prompt_embeds": pooled}
        if self.name == "flux2":
            return {"prompt_embeds": self.pipe.encode_prompt(prompt, max_sequence_length=TEXT)[0]}
        how = {"max_sequence_length": TEXT} if self.name == "auraflow" else {"clean_caption": False}
        made = self.pipe.encode_prompt(prompt, negative_prompt="", **how)
        names = ("prompt_embeds", "prompt_attention_mask", "negative_prompt_embeds", "negative_prompt_attention_mask")
        return dict(zip(names, made, strict=True))

    def theirs(self, steps: int, output: str, **said: Any) -> Tensor:
        seeded = torch.Generator().manual_seed(SEED)
        found: Tensor = self.pipe(
            height=SIDE, width=SIDE, num_inference_steps=steps, output_type=output, generator=seeded,
            **said, **self.options,
        ).images  # fmt: skip
        return found

    def evaluation(self, prompt: str) -> Callable[[], object]:
        """Their transformer, called as their pipeline calls it in its first step."""
        calls: list[tuple[Any, Any]] = []

        def note(module: Any, args: Any, kwargs: Any) -> None:
            calls.append((args, kwargs))

        hook = self.pipe.transformer.register_forward_pre_hook(note, with_kwargs=True)
        self.theirs(1, "latent", **self.their_text(prompt))
        hook.remove()
        args, kwargs = calls[0]
        return lambda: self.pipe.transformer(*args, **kwargs)


def widened(pair: Any, theirs: Any, folder: Path) -> Any:
    """Put a larger transformer into both sides; ours."""
    pair.pipe.transformer = oracle.randomise(theirs, 0)
    shutil.rmtree(folder / "transformer")
    theirs.save_pretrained(folder / "transformer")
    return load_transformer(find(folder / "transformer"), torch.float32)


def flux1(folder: Path) -> Sides:
    pair = oracle.pair(folder, seed=0, guidance=True)
    net = widened(pair, FluxTransformer2DModel(
        num_layers=2, num_single_layers=4, attention_head_dim=128, num_attention_heads=4, joint_attention_dim=48,
        pooled_projection_dim=32, guidance_embeds=True, axes_dims_rope=(16, 56, 56), patch_size=1, in_channels=64,
    ), folder)  # fmt: skip
    latent = (1, 16, SIDE // 8, SIDE // 8)
    options = {"max_sequence_length": TEXT}
    return Sides("flux1", pair.pipe, net, pair.text, pair.vae, pair.schedule, latent, 0, 0, options)


def auraflow(folder: Path) -> Sides:
    pair = oracle_auraflow.pair(folder, seed=0)
    net = widened(pair, AuraFlowTransformer2DModel(
        sample_size=64, num_mmdit_layers=1, num_single_dit_layers=4, attention_head_dim=128, num_attention_heads=4,
        joint_attention_dim=48, caption_projection_dim=512, pos_embed_max_size=1024,
    ), folder)  # fmt: skip
    options = {"max_sequence_length": TEXT, "guidance_scale": 3.5}
    latent = (1, 4, SIDE // 8, SIDE // 8)
    return Sides("auraflow", pair.pipe, net, pair.text, pair.vae, pair.schedule, latent, 3.5, 0, options)


def lumina(folder: Path) -> Sides:
    pair = oracle_lumina.pair(folder, seed=0)
    theirs = LuminaNextDiT2DModel(
        sample_size=SIDE // 8, hidden_size=576, num_layers=4, num_attention_heads=8, num_kv_heads=2,
        cross_attention_dim=48,
    )  # fmt: skip
    theirs.pad_token.data.zero_()
    oracle.randomise(theirs, 0)
    for layer in theirs.layers:  # the same weights twice, as every published file has them
        for one, copy in ((layer.attn1.to_q, layer.attn2.to_q), (layer.attn1.norm_q, layer.attn2.norm_q)):
            copy.load_state_dict(one.state_dict())
    pair.pipe.transformer = theirs.eval().requires_grad_(False)
    pair.pipe.default_sample_size, pair.pipe.default_image_size = SIDE // 8, SIDE  # it has read them already
    shutil.rmtree(folder / "transformer")
    theirs.save_pretrained(folder / "transformer")
    net = load_transformer(find(folder / "transformer"), torch.float32)
    options = {"clean_caption": False, "guidance_scale": 4.0}
    latent = (1, 4, SIDE // 8, SIDE // 8)
    return Sides("lumina", pair.pipe, net, pair.text, pair.vae, pair.schedule, latent, 4.0, 3, options)


def flux2(folder: Path) -> Sides:
    pair = oracle_flux2.dev_pair(folder, seed=0)
    config = pair.pipe.transformer.config
    net = widened(pair, Flux2Transformer2DModel(
        in_channels=config.in_channels, num_layers=1, num_single_layers=3, attention_head_dim=128,
        num_attention_heads=4, joint_attention_dim=config.joint_attention_dim,
    ), folder)  # fmt: skip
    latent = (1, config.in_channels, SIDE // 16, SIDE // 16)
    schedule = Schedule(dynamic=True, empirical=True)
    options = {"max_sequence_length": TEXT}
    return Sides("flux2", pair.pipe, net, pair.text, pair.vae, schedule, latent, 0, 0, options)


FAMILIES: dict[str, Callable[[Path], Sides]] = {"flux1": flux1, "auraflow": auraflow, "lumina": lumina, "flux2": flux2}


def rows(it: Sides, prompt: str) -> Iterator[tuple[str, Callable[[], object], Callable[[], object]]]:
    """Name, theirs and ours."""
    told, said, asked = it.told(prompt), it.their_text(prompt), visited(EULER, it.sigmas(4))
    x, guided = noise(it.latent, SEED), it.guided(told, asked)
    yield "text", lambda: it.their_text(prompt), lambda: it.told(prompt)
    yield "evaluation", it.evaluation(prompt), lambda: guided(x, asked[1])
    yield "one step", lambda: it.theirs(1, "latent", **said), lambda: it.latents(told, 1)
    yield "four steps", lambda: it.theirs(4, "latent", **said), lambda: it.latents(told, 4)
    yield "picture", lambda: it.theirs(4, "pt", prompt=prompt), lambda: it.picture(prompt, 4)


def least(theirs: Callable[[], object], ours: Callable[[], object], rounds: int, seconds: float) -> list[float]:
    """Milliseconds of both. The first round warms up."""
    found, spent = [float("inf")] * 2, 0.0
    for number in range(rounds + 1):
        for side, run in enumerate((theirs, ours)):
            start = time.process_time()
            run()
            took = time.process_time() - start
            spent += took
            if number:
                found[side] = min(found[side], took * 1e3)
        if number >= 2 and spent > seconds:
            break
    return found


def host(it: Sides, prompt: str) -> float:
    """Milliseconds of a step with a network that gives back what it gets."""
    told, whole = it.told(prompt), type(it.net).forward
    try:
        type(it.net).forward = lambda self, tokens, *rest, **more: tokens
        sigmas = it.sigmas(50)
        guided, x = it.guided(told, visited(EULER, sigmas)), noise(it.latent, SEED)
        return least(lambda: None, lambda: list(sample(guided, x, sigmas, EULER)), 5, 60)[1] / 50
    finally:
        type(it.net).forward = whole


def prompt_of(tokenizer: Any, tokens: int) -> str:
    """Words that are about so many tokens."""
    words = oracle.WORDS.split() * 20
    count = next(n for n in range(1, len(words)) if len(tokenizer(" ".join(words[: n + 1])).input_ids) > tokens)
    return " ".join(words[:count])


@torch.no_grad()
def main(names: list[str], rounds: int, seconds: float) -> None:
    torch.set_num_threads(1)
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    print("| | tokens | row | diffusers, ms | ours, ms | times |\n|---|---:|---|---:|---:|---:|")
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            it = FAMILIES[name](Path(folder))
            words = it.pipe.tokenizer_2 if name == "flux1" else it.pipe.tokenizer
            for tokens in (20, 250):
                prompt = prompt_of(words, tokens)
                for row, theirs, ours in rows(it, prompt):
                    one, other = least(theirs, ours, rounds, seconds)
                    print(f"| {name} | {tokens} | {row} | {one:.1f} | {other:.1f} | {one / other:.2f} |", flush=True)
            off = (it.picture(prompt, 4) - it.theirs(4, "pt", prompt=prompt)).abs().max()
            print(f"| {name} | | host, a step | | {host(it, prompt):.3f} | |")
            print(f"| {name} | | largest difference of the picture | | {float(off):.0e} | |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Time every family beside diffusers.")
    parser.add_argument("--family", nargs="*", default=list(FAMILIES), choices=list(FAMILIES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=7.0)
    arguments = parser.parse_args()
    main(arguments.family, arguments.rounds, arguments.seconds)
