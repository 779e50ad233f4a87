"""Makes the Flux.2 starter, around the autoencoder of the Flux.1 starter and with its lessons in drawing:

    OMP_NUM_THREADS=1 python -m nodes.models.starter.train_flux2 --out DIR [--start DIR/flux2]

The Flux.1 starter writes its lessons into DIR/lessons, for other families too (`students`); the language model learns
to read, edits become latents, the transformer learns to draw and to edit. Each stage leaves its result in DIR/work and
is skipped where that exists. DIR/flux2 becomes a klein pipeline folder. With --start, the folder of such a pipeline,
its language model reads and its transformer is trained on.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nodes.models.autoencoders.flux2 import Autoencoder
from nodes.models.encoders import decoder
from nodes.models.encoders.language import Language
from nodes.models.encoders.tekken import load_words
from nodes.models.family import family_named
from nodes.models.flux2.text import TextEncoder
from nodes.models.starter import edit_stage, qwen_words, reading_stage
from nodes.models.starter.checkpoint import in_flux2_space, load, save
from nodes.models.starter.edit_score import held_out_edits, shown
from nodes.models.starter.edit_score import tally as tally_edits
from nodes.models.starter.edits import sample_edit
from nodes.models.starter.families import flux2
from nodes.models.starter.grammar import sample
from nodes.models.starter.sampling import Parts, Settings, images
from nodes.models.starter.score import HERE, tally
from nodes.models.starter.students import lessons
from nodes.models.starter.train import Curve

READING = 0.04  # of the minutes
EDITS = 20480  # training pairs of scenes
SETTINGS = Settings(guidance=1.0)  # the teacher's guidance is built in, and edits need none
PROBES = 32  # captions, and edits, that are drawn and judged now and then


def text_encoder(net: reading_stage.Reader, words: Path) -> TextEncoder:
    """The taught language model as the family reads with it."""
    c = net.qwen.config
    sizes = decoder.Config(
        vocabulary=c.vocab_size,
        width=c.hidden_size,
        inner=c.intermediate_size,
        layers=c.num_hidden_layers,
        heads=c.num_attention_heads,
        kv_heads=c.num_key_value_heads,
        head=c.head_dim,
        theta=reading_stage.THETA,
        eps=c.rms_norm_eps,
        qk_norm=True,
    )
    language = Language("qwen3", sizes.layers, sizes)
    language.load_state_dict(net.qwen.state_dict())
    return TextEncoder(language, load_words(words / "tokenizer", "Qwen3")).eval().requires_grad_(False)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the Flux.2 starter.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--lessons", type=float, default=10.0, help="minutes; 0 reads those that are in DIR")
    parser.add_argument("--minutes", type=float, default=200.0)
    parser.add_argument("--start", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    begin, work = time.time(), args.out / "work"
    work.mkdir(parents=True, exist_ok=True)
    log = Curve(args.out / "curve-flux2.csv", ("stage", "seconds", "samples", "loss", "edit_loss", "read", "score"))
    flux = load(HERE / "flux1")
    vae = in_flux2_space(flux.vae)
    if args.lessons:
        lessons(flux, args.out / "lessons", args.lessons, args.seed, log)
    data = scenes(work, vae, args.seed)
    if args.start:
        words, parts = args.start, load(args.start)
        net = reading_stage.Reader(len(reading_stage.Words(words).tokenizer))
        net.qwen.load_state_dict(parts.encoder.language.state_dict())
    else:
        words, net = work / "words", readers(work, args.minutes * READING, args.seed, log)
        fresh = flux2.fresh(args.seed).requires_grad_(False)
        parts = Parts(family_named("flux2"), text_encoder(net, words), fresh, vae)
    look = probe(parts, args.seed + 2, log)
    read = reading_stage.reader(reading_stage.Words(words), net.qwen.eval().requires_grad_(False))
    left = args.minutes - (time.time() - begin) / 60
    start = {k: v.clone() for k, v in parts.transformer.state_dict().items()}
    where = args.out / "lessons", left, args.seed, work / "flow.pt"
    weights = edit_stage.train(read, data, *where, log, look, start, compiled=True)
    look(weights, left * 60)
    save(parts, args.out / "flux2", SETTINGS, words)


def readers(work: Path, minutes: float, seed: int, log: Curve) -> reading_stage.Reader:
    """The tokenizer, in `work`, and the taught language model."""
    if not (work / "words").exists():
        qwen_words.write(work / "words" / "tokenizer")
    if not (work / "text.pt").exists():
        net = reading_stage.train(work / "words", minutes, seed, "cpu", log)
        torch.save(net.state_dict(), work / "text.pt")
    net = reading_stage.Reader(len(reading_stage.Words(work / "words").tokenizer))
    net.load_state_dict(torch.load(work / "text.pt", weights_only=True))
    return net.eval().requires_grad_(False)


def scenes(work: Path, vae: Autoencoder, seed: int) -> edit_stage.Pool:
    """The edits to learn. Instructions are made anew from the seed, latents are kept in `work`."""
    path = work / "pool.pt"
    if not path.exists():
        made = edit_stage.pool(vae, EDITS, seed)
        torch.save((made.before, made.after, made.weights), path)
    r = random.Random(seed)
    return edit_stage.Pool([sample_edit(r) for _ in range(EDITS)], *torch.load(path, weights_only=True))


def probe(parts: Parts, seed: int, log: Curve) -> Any:
    """What is called with weights and the time: puts them in place, draws, edits and judges."""
    r = random.Random(seed)
    captions, edits = [sample(r, "held out") for _ in range(PROBES)], held_out_edits(PROBES, seed)
    before, seeds = shown(edits, seed), list(range(PROBES))

    def look(weights: dict[str, Tensor], seconds: float) -> None:
        parts.transformer.load_state_dict(weights)
        drawn = images(parts, [c.text for c in captions], seeds, SETTINGS)
        changed = images(parts, [e.text for e in edits], seeds, SETTINGS, shown=before)
        log(stage="probe", seconds=seconds, score=tally(drawn, captions)[0]["all"])
        log(stage="probe of edits", seconds=seconds, score=tally_edits(changed, edits)[0]["all"])

    return look


if __name__ == "__main__":
    main()
