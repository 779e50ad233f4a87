"""What the speed options are worth on a CPU, and what the lossy ones cost.

    python tests/bench/speed_options.py [compile] [caches] [layout] [--prompts 32] [--threads 1]

compile   a Flux.1 of 512 features, 4 + 8 blocks, 256 image and 64 text tokens, float32 and bfloat16: milliseconds of a
          step as it is and compiled, seconds until the first picture (4 steps) with and without the node, seconds of
          compiling
caches    the starter's score with each cache, one picture at a time: pictures that are right, share of evaluations that
          were skipped, how far pixels are from those without
layout    Flux.1's autoencoder decoding 256 pixels, contiguous and channels last

Times are processor time of this process; both of a pair run in turn, and the least of several rounds counts. Prints
Markdown. Compiling anew needs an empty cache: set TORCHINDUCTOR_CACHE_DIR to an empty folder.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nodes.models.autoencoders import kl
from nodes.models.flux1.config import Config
from nodes.models.flux1.transformer import Transformer, velocity
from nodes.models.layers.compiled import using
from nodes.models.sampling.guidance import cfg_of
from nodes.models.sampling.loop import sample
from nodes.models.sampling.skipping import FirstBlock, Magnitude, Skipping, Skips, Taylor
from nodes.models.sampling.solvers import SOLVERS
from nodes.models.starter.checkpoint import load
from nodes.models.starter.sampling import CELLS, Parts, Settings, sigmas
from nodes.models.starter.score import held_out_captions, recommended, tally

STARTER = Path(__file__).parents[2] / "nodes" / "models" / "starter" / "flux1"
ROUNDS = 5


def least(run: Callable[[], Any], rounds: int = ROUNDS) -> float:
    """Seconds of processor time, the least of several."""
    times = []
    for _ in range(rounds):
        began = time.process_time()
        run()
        times.append(time.process_time() - began)
    return min(times)


def compiling() -> list[str]:
    """Lines about the compiler."""
    return [*compiled_in(torch.float32), "", *compiled_in(torch.bfloat16)]


def compiled_in(dtype: torch.dtype) -> list[str]:
    torch.manual_seed(0)
    config = Config.tiny(width=512, heads=8, double_blocks=4, single_blocks=8, axes=(16, 24, 24), text_width=256)
    net = Transformer(config).to(dtype).eval().requires_grad_(False)
    cells = config.latent_channels
    told = {"text": torch.randn(1, 64, 256), "pooled": torch.randn(1, config.pooled_width)}
    line = [1.0, 0.75, 0.5, 0.25, 0.0]
    x = torch.randn(1, cells, 32, 32)

    def picture() -> Tensor:
        v = velocity(net, told, x.shape, line[:-1])
        *_, last = sample(v, x, line, SOLVERS["euler"])
        return last.x

    plain = picture()
    without = least(picture, 2)
    began = time.process_time()
    with using(net, []) as held:
        picture()
    first = time.process_time() - began
    held.wait()
    v = velocity(net, told, x.shape, line[:-1])
    eager, compiled = [], []
    for _ in range(ROUNDS):
        eager.append(least(lambda: v(x, 0.5), 1))
        with using(net, []) as held:
            compiled.append(least(lambda: v(x, 0.5), 1))
    with using(net, []) as held:
        off = float((picture() - plain).norm() / plain.norm())
    assert held.compiled == held.calls, held.failed
    return [
        f"| {str(dtype).removeprefix('torch.')} | as it is | compiled | |",
        "|---|---:|---:|---:|",
        f"| a step, ms | {min(eager) * 1e3:.0f} | {min(compiled) * 1e3:.0f} | {min(eager) / min(compiled):.2f} |",
        f"| first picture, s | {without:.2f} | {first:.2f} | {without / first:.2f} |",
        f"| compiling {len(held.ready)} kinds of blocks, s | | {held.seconds:.1f} | |",
        f"| relative difference of the latent | | {off:.1e} | |",
    ]


WAYS: list[tuple[str, Skipping | None]] = [
    ("none", None),
    *((f"first block, threshold {t}", FirstBlock(t)) for t in (0.05, 0.08, 0.12, 0.2)),
    *((f"TaylorSeer, interval {n}, order {o}", Taylor(n, 3, o)) for n, o in ((2, 1), (3, 1), (3, 2), (5, 1))),
]


def caches(prompts: int) -> list[str]:
    """Lines about the caches; MagCache with ratios that are measured on the first prompt."""
    parts, settings = load(STARTER), recommended(STARTER)
    captions = held_out_captions(prompts, 0)
    measuring = Skips(Magnitude(None))
    drawn(parts, "a red circle", 7, settings, measuring)
    state: Any = measuring.states[-1]
    ratios = tuple(state.measured)
    ways = [*WAYS, *((f"MagCache, threshold {t}", Magnitude(ratios, t)) for t in (0.06, 0.12, 0.24))]
    lines = ["| cache | right | skipped | pixels off (of 255) |", "|---|---:|---:|---:|"]
    exact: Any = None
    for title, way in ways:
        pictures, calls, skipped = [], 0, 0
        for number, caption in enumerate(captions):
            skips = Skips(way)
            pictures.append(drawn(parts, caption.text, number, settings, skips))
            calls += sum(one.calls for one in skips.states)
            skipped += sum(one.skipped for one in skips.states)
        made = np.stack(pictures)
        exact = made if exact is None else exact
        right = tally(made, captions)[0]["all"]
        off = (made.astype(float) - exact).std()
        share = f"{skipped / calls:.0%}" if calls else "0%"
        lines.append(f"| {title} | {right:.1%} | {share} | {off:.1f} |")
    return lines


@torch.no_grad()
def drawn(parts: Parts, text: str, seed: int, settings: Settings, skips: Skips) -> np.ndarray:
    """(128, 128, 3) uint8, as the sampler node paints it."""
    told = [parts.told([one]) for one in (text, "")]
    line = sigmas(settings, parts.family.defaults.defaults(parts.transformer.config).schedule)
    x = torch.randn(1, 16, CELLS, CELLS, generator=torch.Generator().manual_seed(seed))

    def speak(one: Any, shape: Any) -> Any:
        return skips.over(parts.transformer, velocity(parts.transformer, one, shape, line[:-1]), len(line) - 1)

    v = cfg_of(speak, told[0], told[1], x.shape, settings.guidance)
    *_, last = sample(v, x, line, SOLVERS["euler"])
    y = parts.vae.decode(parts.vae.unscaled(last.x)).clamp(-1, 1)
    return ((y + 1) * 127.5).round().byte()[0].permute(1, 2, 0).numpy()


def layout() -> list[str]:
    """Lines about the autoencoder."""
    torch.manual_seed(0)
    net, z = kl.Autoencoder(kl.Config()).eval().requires_grad_(False), torch.randn(1, 16, 32, 32)
    lines = ["| decoding 256 pixels, s | contiguous | channels last | | difference |", "|---|---:|---:|---:|---:|"]
    for dtype in (torch.float32, torch.bfloat16):
        times, outs = [], []
        for memory_format in (torch.contiguous_format, torch.channels_last):
            one = net.to(dtype, memory_format=memory_format)
            outs.append(one.decode(z.to(dtype)))
            times.append(least(lambda one=one, dtype=dtype: one.decode(z.to(dtype)), 2))
        off = float((outs[0].float() - outs[1].float()).abs().max())
        name = str(dtype).removeprefix("torch.")
        lines.append(f"| {name} | {times[0]:.2f} | {times[1]:.2f} | {times[0] / times[1]:.2f} | {off:.1e} |")
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure the speed options.")
    parser.add_argument("what", nargs="*", default=[], metavar="compile|caches|layout")
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    parts_of = {"compile": compiling, "caches": lambda: caches(arguments.prompts), "layout": layout}
    for number, name in enumerate(itertools.chain(arguments.what or parts_of)):
        print("\n" * bool(number) + "\n".join(parts_of[name]()), flush=True)
