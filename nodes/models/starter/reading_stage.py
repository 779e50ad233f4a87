"""Teaches the language model of the Flux.2 starter to read: what is where, or what is to be changed.

A decoder sees only what stands before a token, so the nine tokens that klein's chat puts after a prompt are the ones
that know all of it. There are nine cells: each of these tokens predicts what its own cell holds, or, of an
instruction, what is meant and what becomes of it. The last word of each phrase predicts its phrase. The heads are
thrown away.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Qwen2TokenizerFast, Qwen3Config, Qwen3Model

from nodes.models.flux2.text import CHATS
from nodes.models.starter.edits import KINDS, Edit, sample_edit
from nodes.models.starter.families.flux2 import LENGTH
from nodes.models.starter.grammar import BACKGROUNDS, COLOURS, SHAPES, SIZES, Caption, sample
from nodes.models.starter.muon import Average, Both
from nodes.models.starter.pace import Pace
from nodes.models.starter.qwen_words import FILLING

WIDTH = 128
TAPS = (1, 2, 3)
THETA = 10000.0
BEFORE, AFTER = 3, 9  # tokens of the chat; with 31 words and a full stop between them a text has LENGTH
BATCH = 64
LEARNING_RATE = 4e-3
BARE = 0.9  # of the prompts have no capital and no full stop
LOOK = {"shape": SHAPES, "colour": COLOURS, "size": SIZES}
TAIL = {**LOOK, "ground": BACKGROUNDS, "kind": ("draw", *KINDS), "new_colour": COLOURS, "new_size": SIZES}
"""What a token after the prompt tells, each with "nothing" as one more answer."""


class Reader(nn.Module):
    """The language model with the heads it is taught through."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.qwen = Qwen3Model(
            Qwen3Config(
                vocab_size=vocabulary,
                hidden_size=WIDTH,
                intermediate_size=2 * WIDTH,
                num_hidden_layers=TAPS[-1],
                num_attention_heads=4,
                num_key_value_heads=2,
                head_dim=32,
                rms_norm_eps=1e-6,
                rope_theta=THETA,
                max_position_embeddings=512,
                tie_word_embeddings=True,
                attn_implementation="sdpa",
            )
        )
        self.tail_head = nn.Linear(len(TAPS) * WIDTH, sum(len(v) + 1 for v in TAIL.values()) + 1)
        self.word_head = nn.Linear(2 * WIDTH, sum(len(v) + 1 for v in LOOK.values()) + 9)


class Words:
    """Text to ids as the klein pipeline makes them: in a chat, filled up on the right to a fixed length."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tokenizer = Qwen2TokenizerFast.from_pretrained(folder / "tokenizer")

    def ids(self, texts: list[str], length: int = LENGTH) -> tuple[Tensor, Tensor]:
        """→ ids (B, L) and how many of them are not filling (B,)."""
        chat = CHATS["qwen3"]
        rows = self.tokenizer([chat.before + t + chat.after for t in texts]).input_ids
        filling = self.tokenizer.convert_tokens_to_ids(FILLING)
        filled = [row[:length] + [filling] * (length - len(row)) for row in rows]
        return torch.tensor(filled), torch.tensor([min(len(row), length) for row in rows])


def encode(qwen: nn.Module, ids: Tensor, counts: Tensor) -> Tensor:
    """(B, L, 3·128): three layers side by side."""
    mask = torch.arange(ids.shape[1], device=ids.device) < counts[:, None]
    states = qwen(input_ids=ids, attention_mask=mask.long(), output_hidden_states=True, use_cache=False).hidden_states
    return torch.cat([states[tap] for tap in TAPS], dim=-1)


Read = Callable[[list[str], Callable[[int], int]], Tensor]
"""Texts, and how many tokens they are filled up to, given how many the longest has → (B, L, 3·128)."""


def reader(words: Words, qwen: nn.Module) -> Read:
    """Texts as the transformer is told of them."""

    @torch.no_grad()
    def read(texts: list[str], length: Callable[[int], int]) -> Tensor:
        ids, counts = words.ids(texts)
        return encode(qwen, ids[:, : length(int(counts.max()))], counts)

    return read


def lessons(prompts: list[Caption | Edit]) -> dict[str, Tensor]:
    """What the heads are to say; −100 where nothing is asked.

    tail_… (B, 9)        of the nine tokens after the prompt, for each name in TAIL
    tail_here (B, 9)     whether something is in that cell, or may be meant by the instruction
    word_… (B, 44), word_cells (B, 44, 9), word_asked (B, 44)   of the last word of each phrase
    """
    b = len(prompts)
    out = {f"tail_{name}": torch.full((b, AFTER), len(v)) for name, v in TAIL.items()}
    out["tail_here"] = torch.zeros(b, AFTER)
    out |= {f"word_{name}": torch.full((b, LENGTH), -100) for name in LOOK}
    out |= {"word_cells": torch.zeros(b, LENGTH, 9), "word_asked": torch.zeros(b, LENGTH)}
    for i, prompt in enumerate(prompts):
        if isinstance(prompt, Edit):
            _instruction(out, i, prompt)
        else:
            _caption(out, i, prompt)
    return out


def _caption(out: dict[str, Tensor], i: int, caption: Caption) -> None:
    out["tail_kind"][i] = 0
    out["tail_ground"][i] = BACKGROUNDS.index(caption.scene.background)
    for thing in caption.scene.things:
        out["tail_here"][i, thing.cell] = 1
        for name, values in LOOK.items():
            out[f"tail_{name}"][i, thing.cell] = values.index(getattr(thing, name))
    for who, phrase in enumerate(caption.phrases):
        last = BEFORE + max(j for j, o in enumerate(caption.owner) if o == who)
        out["word_asked"][i, last] = 1
        out["word_cells"][i, last, [t.cell for t in phrase.things]] = 1
        for name, values in LOOK.items():
            out[f"word_{name}"][i, last] = values.index(getattr(phrase.things[0], name))


def _instruction(out: dict[str, Tensor], i: int, edit: Edit) -> None:
    told = edit.told
    out["tail_kind"][i] = TAIL["kind"].index(told.kind)
    out["tail_here"][i, list(told.cells) if told.cells else slice(None)] = 1
    for name, values in LOOK.items():
        if getattr(told, name):
            out[f"tail_{name}"][i] = values.index(getattr(told, name))
    target = {"colour": "new_colour", "size": "new_size", "ground": "ground"}.get(told.kind)
    if target and told.value:
        out[f"tail_{target}"][i] = TAIL[target].index(told.value)


def loss_of(net: Reader, ids: Tensor, counts: Tensor, want: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Cross entropies, and the part of prompts whose nine tokens all tell everything right."""
    features = encode(net.qwen, ids, counts)
    at = (counts[:, None] - AFTER + torch.arange(AFTER, device=ids.device))[..., None]
    tail = net.tail_head(features.gather(1, at.expand(-1, -1, features.shape[-1])))
    *parts, here = tail.split([*(len(v) + 1 for v in TAIL.values()), 1], dim=-1)
    loss = 2 * F.binary_cross_entropy_with_logits(here[..., 0], want["tail_here"])
    right = ((here[..., 0] > 0) == (want["tail_here"] > 0)).all(1)
    for name, part in zip(TAIL, parts, strict=True):
        loss = loss + F.cross_entropy(part.flatten(0, 1), want[f"tail_{name}"].flatten())
        right &= (part.argmax(-1) == want[f"tail_{name}"]).all(1)
    words = net.word_head(features[..., : 2 * WIDTH])
    *parts, cells = words.split([*(len(v) + 1 for v in LOOK.values()), 9], dim=-1)
    for name, part in zip(LOOK, parts, strict=True):
        loss = loss + 0.3 * F.cross_entropy(part.flatten(0, 1), want[f"word_{name}"].flatten(), ignore_index=-100)
    off = F.binary_cross_entropy_with_logits(cells, want["word_cells"], reduction="none").mean(-1)
    loss = loss + (off * want["word_asked"]).sum() / want["word_asked"].sum().clamp(min=1)
    return loss, right.float().mean().detach()


def written(r: random.Random, text: str) -> str:
    """The text as a person may write it: seldom with a capital, seldom with a full stop."""
    if r.random() < BARE:
        return text
    return text[:1].upper() + text[1:] + r.choice(("", "."))


def train(folder: Path, minutes: float, seed: int, device: str, log: Callable[..., None]) -> Reader:
    """The language model after that many minutes; `folder` holds the tokenizer."""
    torch.manual_seed(seed)
    r, words = random.Random(seed), Words(folder)
    net = Reader(len(words.tokenizer)).to(device)
    best = Both(net, LEARNING_RATE, lambda n, p: "embed" in n or "_head" in n)
    average, pace = Average(net, 0.99), Pace(minutes)
    steps, scores, last = 0, [], time.time()
    while not pace.over:
        best.set_lr(pace.rate(warmup=0.03, floor=0.01))
        prompts = [sample(r) if i % 4 else sample_edit(r) for i in range(BATCH)]
        ids, counts = words.ids([written(r, p.text) for p in prompts])
        want = {name: one.to(device) for name, one in lessons(prompts).items()}
        loss, right = loss_of(net, ids.to(device), counts.to(device), want)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        best.step()
        average.update(net)
        scores.append(float(right))
        steps += 1
        if time.time() - last > 15:
            log(stage="text", seconds=pace.seconds, samples=steps * BATCH, read=sum(scores) / len(scores),
                loss=float(loss))  # fmt: skip
            scores, last = [], time.time()
    net.load_state_dict(average.weights)
    return net.eval().requires_grad_(False)
