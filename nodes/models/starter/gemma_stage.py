"""Teaches Lumina's text encoder to read. Gemma is causal: a token knows only what stands before it.

Every token of a phrase predicts that phrase's shape, colour, size and cells, of which the phrase's last token can know
all; the last token of the caption predicts what each of the nine cells holds, and the background.
The heads are thrown away, as those of the other encoders are (`text_stage`).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import GemmaConfig, GemmaModel

from nodes.models.encoders.tokenizer import load_tokenizer
from nodes.models.lumina.text import MULTIPLE, TextEncoder
from nodes.models.starter.grammar import BACKGROUNDS, Caption, sample
from nodes.models.starter.muon import Average, Both
from nodes.models.starter.pace import Pace
from nodes.models.starter.text_stage import PARTS, lessons
from nodes.models.starter.tokenizers import T5_LENGTH

WIDTH, LAYERS = 128, 4
BATCH = 64
LEARNING_RATE = 3e-3
LAST_WEIGHT = 4.0  # of a phrase's last token; the others have 1


def gemma(vocabulary: int) -> GemmaModel:
    """A small Gemma as `encoders.gemma` leaves it: without the last layer and norm."""
    sizes = GemmaConfig(
        vocab_size=vocabulary,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=32,
        max_position_embeddings=256,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=2,
        use_cache=False,
    )
    net = GemmaModel(sizes)
    net.norm = nn.Identity()
    return net


class Reader(nn.Module):
    """Gemma with the heads it is taught through; both read normed features, as the transformer does."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.gemma = gemma(vocabulary)
        each = sum(n for _, n in PARTS)
        self.token_head = nn.Linear(WIDTH, each + 9)
        self.scene_head = nn.Linear(WIDTH, 9 * each + len(BACKGROUNDS))

    def features(self, ids: Tensor, mask: Tensor) -> Tensor:
        return F.rms_norm(self.gemma(input_ids=ids, attention_mask=mask).last_hidden_state, (WIDTH,))


def loss_of(net: Reader, captions: list[Caption], ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Cross entropies, and the parts of phrases' last tokens and of scenes that are read right: (2,)."""
    want, b = lessons(captions), len(captions)
    features = net.features(ids, mask)
    owners = [torch.tensor(c.owner) for c in captions]
    weight = torch.zeros(b, T5_LENGTH)
    for i, owner in enumerate(owners):
        weight[i, : len(owner)] = (owner >= 0).float()
        for who in range(len(captions[i].phrases)):
            weight[i, int((owner == who).nonzero().max())] = LAST_WEIGHT
    here = weight > 0
    tokens = features[:, 1 : T5_LENGTH + 1]  # the beginning is no word
    here, weight = here[:, : tokens.shape[1]], weight[:, : tokens.shape[1]]
    chosen, w = tokens[here], weight[here] / weight.sum()
    sizes = [n for _, n in PARTS]
    *parts, cells = net.token_head(chosen).split([*sizes, 9], dim=-1)
    wanted_cells = want["cells"][:, : tokens.shape[1]][here]
    loss = 4 * (F.binary_cross_entropy_with_logits(cells, wanted_cells, reduction="none").mean(-1) * w).sum()
    right = ((cells > 0) == (wanted_cells > 0)).all(-1)
    scene = net.scene_head(features[torch.arange(b), mask.sum(1) - 1])
    by_cell, ground = scene.split([9 * sum(sizes), len(BACKGROUNDS)], dim=-1)
    loss = loss + F.cross_entropy(ground, want["ground"])
    right_scene = ground.argmax(-1) == want["ground"]
    cell_parts = by_cell.unflatten(-1, (9, sum(sizes))).split(sizes, dim=-1)
    for (name, _), token, cell in zip(PARTS, parts, cell_parts, strict=True):
        asked = want[name][:, : tokens.shape[1]][here]
        loss = loss + (F.cross_entropy(token, asked, reduction="none") * w).sum()
        loss = loss + 3 * F.cross_entropy(cell.flatten(0, 1), want["cell_" + name].flatten())
        right &= token.argmax(-1) == asked
        right_scene &= (cell.argmax(-1) == want["cell_" + name]).all(-1)
    last = weight[here] == LAST_WEIGHT
    return loss, torch.stack((right[last].float().mean(), right_scene.float().mean())).detach()


def train(words: Path, minutes: float, seed: int, log: Callable[..., None]) -> TextEncoder:
    """The encoder after that many minutes; `words` is the tokenizer's folder."""
    torch.manual_seed(seed)
    r, tokenizer = random.Random(seed), load_tokenizer("gemma", words)
    net = Reader(len(tokenizer))
    best = Both(net, LEARNING_RATE, lambda name, p: "embed" in name or "_head" in name)
    average, pace = Average(net, 0.99), Pace(minutes)
    steps, scores, last = 0, [], time.time()
    while not pace.over:
        best.set_lr(pace.rate(warmup=0.03, floor=0.01))
        captions = [sample(r) for _ in range(BATCH)]
        tokens = tokenizer.read([c.text for c in captions], T5_LENGTH, MULTIPLE)
        loss, score = loss_of(net, captions, tokens.ids, tokens.mask)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        best.step()
        average.update(net)
        scores.append(score)
        steps += 1
        if time.time() - last > 15 or pace.over:
            read, cells = torch.stack(scores).mean(0).tolist()
            log(stage="gemma", seconds=pace.seconds, samples=steps * BATCH, read=read, cells=cells)
            scores, last = [], time.time()
    net.load_state_dict(average.weights, strict=False)
    return TextEncoder(net.gemma, tokenizer).eval().requires_grad_(False)
