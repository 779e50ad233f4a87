"""AuraFlow's text encoder from Flux.1's: the same T5, with a table of positions in every block and without its padding.

The weights are copied, word by word where the tokenizers differ. Masking the padding then changes the features by 3 %;
a minute of training, in which they are to be what they were, leaves 0.1 %.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import UMT5Config, UMT5EncoderModel

from nodes.models.auraflow.text import TextEncoder
from nodes.models.encoders.tokenizer import Tokenizer, load_tokenizer
from nodes.models.flux1.text import TextEncoder as FluxEncoder
from nodes.models.starter.grammar import sample
from nodes.models.starter.muon import Average, Both
from nodes.models.starter.pace import Pace
from nodes.models.starter.tokenizers import T5_LENGTH

BATCH = 48
LEARNING_RATE = 1.5e-3
EMPTY = 0.02
EMBEDDINGS = ("shared.weight", "encoder.embed_tokens.weight")
BIAS = "relative_attention_bias"


def copied(teacher: FluxEncoder, tokenizer: Tokenizer) -> UMT5EncoderModel:
    """A UMT5 with the weights of the teacher's T5. Pieces that T5 does not know begin as its unknown piece."""
    old, words = teacher.t5.state_dict(), teacher.t5_tokenizer.inner.get_vocab()
    sizes = teacher.t5.config
    net = UMT5EncoderModel(
        UMT5Config(
            vocab_size=len(tokenizer),
            d_model=sizes.d_model,
            d_kv=sizes.d_kv,
            d_ff=sizes.d_ff,
            num_layers=sizes.num_layers,
            num_heads=sizes.num_heads,
            feed_forward_proj="gated-gelu",
            dropout_rate=0.0,
            layer_norm_epsilon=sizes.layer_norm_epsilon,
            is_encoder_decoder=False,
            pad_token_id=tokenizer.inner.pad_token_id,
            eos_token_id=tokenizer.end,
        )
    )
    table = old["shared.weight"]
    rows = table[words["<unk>"]].repeat(len(tokenizer), 1)
    for piece, index in tokenizer.inner.get_vocab().items():
        known = piece if piece in words else piece.lower()
        if known in words:
            rows[index] = table[words[known]]
    first = next(tensor for name, tensor in old.items() if BIAS in name)
    net.load_state_dict(
        {name: rows if name in EMBEDDINGS else first if BIAS in name else old[name] for name in net.state_dict()}
    )
    return net


def loss_of(teacher: nn.Module, tokenizer: Tokenizer, net: UMT5EncoderModel, texts: list[str]) -> Tensor:
    """How far the features of tokens are from the teacher's, as a part of their square."""
    tokens = tokenizer.read(texts, T5_LENGTH)
    length = int(tokens.mask.sum(1).max())
    mask = tokens.mask[:, :length]
    want = teacher(texts, max_length=T5_LENGTH).tensors["text"][:, :length]
    got = net(input_ids=tokens.ids[:, :length], attention_mask=mask).last_hidden_state
    return ((got - want).square() * mask[..., None]).sum() / (want.square() * mask[..., None]).sum()


def train(teacher: FluxEncoder, words: Path, minutes: float, seed: int, log: Callable[..., None]) -> TextEncoder:
    """The encoder after that many minutes; `words` is the tokenizer's folder."""
    torch.manual_seed(seed)
    r, tokenizer = random.Random(seed), load_tokenizer("umt5", words)
    net = copied(teacher, tokenizer)
    best, average = Both(net, LEARNING_RATE, lambda name, p: "shared" in name or "bias" in name), Average(net, 0.98)
    pace, steps, losses, last = Pace(minutes), 0, [], time.time()
    while not pace.over:
        best.set_lr(pace.rate(warmup=0.05, floor=0.01))
        texts = ["" if r.random() < EMPTY else sample(r).text for _ in range(BATCH)]
        loss = loss_of(teacher, tokenizer, net, texts)
        loss.backward()
        best.step()
        average.update(net)
        losses.append(float(loss.detach()))
        steps += 1
        if time.time() - last > 15 or pace.over:
            log(stage="umt5", seconds=pace.seconds, samples=steps * BATCH, loss=sum(losses) / len(losses))
            losses, last = [], time.time()
    net.load_state_dict(average.weights, strict=False)
    return TextEncoder(net, tokenizer).eval().requires_grad_(False)
