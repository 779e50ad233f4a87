"""Teaches the two text encoders to read: each token is to know the thing that it is about.

T5: every token of a phrase predicts that phrase's shape, colour, size and cells, every token the background.
CLIP: the pooled vector predicts what each of the nine cells holds, and the background.
The heads are thrown away; the transformer then only has to learn how a described thing looks, not English.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, T5Config, T5EncoderModel, T5TokenizerFast

from nodes.models.starter.grammar import BACKGROUNDS, COLOURS, SHAPES, SIZES, Caption, sample
from nodes.models.starter.muon import Average, Both
from nodes.models.starter.pace import Pace
from nodes.models.starter.tokenizers import CLIP_LENGTH, T5_LENGTH
from nodes.models.starter.twins import Twins

T5_WIDTH, CLIP_WIDTH = 128, 96
BATCH = 64
LEARNING_RATE = 4e-3
PARTS = (("shape", len(SHAPES) + 1), ("colour", len(COLOURS) + 1), ("size", len(SIZES) + 1))  # the last: nothing


class Readers(nn.Module):
    """Both encoders with the heads they are taught through."""

    def __init__(self, t5_vocab: int, clip_vocab: int) -> None:
        super().__init__()
        self.t5 = T5EncoderModel(
            T5Config(
                vocab_size=t5_vocab,
                d_model=T5_WIDTH,
                d_kv=32,
                d_ff=256,
                num_layers=3,
                num_decoder_layers=3,
                num_heads=4,
                feed_forward_proj="gated-gelu",
                dropout_rate=0.0,
                tie_word_embeddings=False,
                pad_token_id=0,
                eos_token_id=1,
                decoder_start_token_id=0,
                layer_norm_epsilon=1e-6,
            )
        )
        self.clip = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=clip_vocab,
                hidden_size=CLIP_WIDTH,
                intermediate_size=2 * CLIP_WIDTH,
                projection_dim=CLIP_WIDTH,
                num_hidden_layers=2,
                num_attention_heads=3,
                max_position_embeddings=CLIP_LENGTH,
                hidden_act="quick_gelu",
                bos_token_id=clip_vocab - 2,
                eos_token_id=clip_vocab - 1,
                pad_token_id=clip_vocab - 1,
            )
        )
        per_cell = sum(n for _, n in PARTS)
        self.token_head = nn.Linear(T5_WIDTH, per_cell + 9 + len(BACKGROUNDS))
        self.pooled_head = nn.Linear(CLIP_WIDTH, 9 * per_cell + len(BACKGROUNDS))


class Words:
    """Text to the ids of both tokenizers, as the Flux.1 pipeline makes them: padded to a fixed length, no mask."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.t5 = T5TokenizerFast.from_pretrained(folder / "tokenizer_2")
        self.clip = CLIPTokenizer.from_pretrained(folder / "tokenizer")

    def ids(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """→ T5 ids (B, 32) and CLIP ids (B, 77)."""
        fixed = {"padding": "max_length", "truncation": True, "return_tensors": "pt"}
        return (
            self.t5(texts, max_length=T5_LENGTH, **fixed).input_ids,
            self.clip(texts, max_length=CLIP_LENGTH, **fixed).input_ids,
        )


def lessons(captions: list[Caption]) -> dict[str, Tensor]:
    """What the heads are to say.

    shape, colour, size (B, 32)   of the token's phrase, or "nothing";  cells (B, 32, 9) of it
    ground (B,);  cell_shape, cell_colour, cell_size (B, 9)
    """
    b = len(captions)
    none = {name: n - 1 for name, n in PARTS}
    out = {name: torch.full((b, T5_LENGTH), none[name]) for name in none}
    out |= {"cell_" + name: torch.full((b, 9), none[name]) for name in none}
    out["cells"] = torch.zeros(b, T5_LENGTH, 9)
    out["ground"] = torch.tensor([BACKGROUNDS.index(c.scene.background) for c in captions])
    for i, caption in enumerate(captions):
        for who, phrase in enumerate(caption.phrases):
            t = phrase.things[0]
            values = {"shape": SHAPES.index(t.shape), "colour": COLOURS.index(t.colour), "size": SIZES.index(t.size)}
            places = [j for j, o in enumerate(caption.owner) if o == who]
            cells = [one.cell for one in phrase.things]
            for name, value in values.items():
                out[name][i, places] = value
                out["cell_" + name][i, cells] = value
            for cell in cells:
                out["cells"][i, places, cell] = 1.0
    return out


def loss_of(net: Readers, t5_ids: Tensor, clip_ids: Tensor, want: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Cross entropies, and the parts of tokens' phrases and of cells that are read right: (2,)."""
    tokens = net.token_head(net.t5(t5_ids).last_hidden_state)
    end = int((clip_ids == clip_ids.max()).float().argmax(1).max()) + 1
    pooled = net.pooled_head(net.clip(clip_ids[:, :end]).pooler_output)
    sizes = [n for _, n in PARTS]
    *parts, cells, ground = tokens.split([*sizes, 9, len(BACKGROUNDS)], dim=-1)
    by_cell, pooled_ground = pooled.split([9 * sum(sizes), len(BACKGROUNDS)], dim=-1)
    cell_parts = by_cell.unflatten(-1, (9, sum(sizes))).split(sizes, dim=-1)
    loss = 4 * F.binary_cross_entropy_with_logits(cells, want["cells"]) + F.cross_entropy(pooled_ground, want["ground"])
    loss = loss + F.cross_entropy(ground.flatten(0, 1), want["ground"][:, None].expand(-1, T5_LENGTH).flatten())
    right = ((cells > 0) == (want["cells"] > 0)).all(-1)
    right_cells = torch.ones_like(want["cell_shape"], dtype=torch.bool)
    for (name, _), token, cell in zip(PARTS, parts, cell_parts, strict=True):
        loss = loss + F.cross_entropy(token.flatten(0, 1), want[name].flatten())
        loss = loss + F.cross_entropy(cell.flatten(0, 1), want["cell_" + name].flatten())
        right &= token.argmax(-1) == want[name]
        right_cells &= cell.argmax(-1) == want["cell_" + name]
    return loss, torch.stack((right.all(1).float().mean(), right_cells.float().mean())).detach()


def train(folder: Path, minutes: float, seed: int, device: str, threads: int, log: Callable[..., None]) -> Readers:
    """Both encoders after that many minutes; `folder` holds the tokenizers."""
    torch.manual_seed(seed)
    r, words = random.Random(seed), Words(folder)
    net = Readers(len(words.t5), len(words.clip)).to(device)
    best = Both(net, LEARNING_RATE, lambda n, p: "shared" in n or "embed" in n or "_head" in n or "bias" in n)
    average, pace, twins = Average(net, 0.99), Pace(minutes), Twins(net, threads)
    steps, scores, last = 0, [], time.time()
    while not pace.over:
        best.set_lr(pace.rate(warmup=0.03, floor=0.01))
        captions = [sample(r) for _ in range(BATCH)]
        ids, want = words.ids([c.text for c in captions]), lessons(captions)
        shares = [
            (a.to(device), b.to(device), {k: v.to(device) for k, v in w.items()})
            for a, b, w in zip(
                ids[0].chunk(threads),
                ids[1].chunk(threads),
                [
                    dict(zip(want, row, strict=True))
                    for row in zip(*(v.chunk(threads) for v in want.values()), strict=True)
                ],
                strict=True,
            )
        ]
        scores.append(twins.gradients(shares, loss_of))
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        best.step()
        average.update(net)
        steps += 1
        if time.time() - last > 15:
            read, cells = torch.stack(scores).mean(0).tolist()
            log(stage="text", seconds=pace.seconds, samples=steps * BATCH, read=read, cells=cells)
            scores, last = [], time.time()
    net.load_state_dict(average.weights, strict=False)  # T5's shared embedding has one name there, two in a state
    return net.eval().requires_grad_(False)
