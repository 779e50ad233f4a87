"""Prompts: what is refused, and that negatives and second prompts are only other prompts."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import CLIPTokenizer, T5TokenizerFast

from graph_runtime.problem import Refused
from nodes.models.encoders import clip, t5
from nodes.models.encoders.tokenizer import Tokenizer
from nodes.models.flux1.text import TextEncoder

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def weighted(model: nn.Module) -> nn.Module:
    """Small random weights in the place of `meta`."""
    generator = torch.Generator().manual_seed(0)
    drawn = {
        name: torch.randn(t.shape, generator=generator) * 0.2 if t.is_floating_point() else t
        for name, t in model.state_dict().items()
    }
    model.load_state_dict(drawn, assign=True)
    model.tie_weights()
    return model


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    pieces = [*LETTERS, *(c + "</w>" for c in LETTERS), "<|startoftext|>", "<|endoftext|>"]
    bpe = CLIPTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[], model_max_length=77)
    scored = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -1.0), *((c, -2.0) for c in LETTERS)]
    unigram = T5TokenizerFast(vocab=scored, extra_ids=0)
    small_clip = clip.LARGE | {"vocab_size": len(bpe), "hidden_size": 16, "intermediate_size": 32}
    small_clip |= {"num_hidden_layers": 1, "num_attention_heads": 2}
    small_t5 = t5.XXL | {"vocab_size": len(unigram), "d_model": 24, "d_kv": 8, "d_ff": 32}
    small_t5 |= {"num_layers": 1, "num_heads": 3}
    return TextEncoder(
        weighted(clip.build(small_clip)),
        weighted(t5.build(small_t5)),
        Tokenizer("clip", bpe, int(bpe.eos_token_id)),
        Tokenizer("t5", unigram, int(unigram.eos_token_id)),
    ).eval()


def test_shapes(encoder: TextEncoder) -> None:
    tensors, notes = encoder(["a red fox", "two boats"], max_length=20)
    assert tensors["text"].shape == (2, 20, 24) and tensors["pooled"].shape == (2, 16)
    assert notes == ()


def test_a_prompt_does_not_depend_on_its_neighbours(encoder: TextEncoder) -> None:
    together = encoder(["a red fox", "two boats"], max_length=20).tensors
    alone = encoder(["two boats"], max_length=20).tensors
    assert all(torch.allclose(together[name][1:], alone[name], atol=1e-6) for name in together)


def test_the_length_is_part_of_the_result(encoder: TextEncoder) -> None:
    short, long = (encoder(["a red fox"], max_length=n).tensors["text"] for n in (20, 40))
    assert not torch.allclose(short, long[:, :20], atol=1e-4)


def test_an_empty_prompt_is_a_prompt(encoder: TextEncoder) -> None:
    assert encoder([""], max_length=8).tensors["text"].isfinite().all()


def test_cut_text_is_quoted(encoder: TextEncoder) -> None:
    _, notes = encoder(["abcdefgh"], max_length=6)
    assert len(notes) == 1 and "6 tokens" in notes[0] and "“efgh”" in notes[0]


@pytest.mark.parametrize("length", [0, 513])
def test_a_length_the_model_was_not_trained_with_is_refused(encoder: TextEncoder, length: int) -> None:
    with pytest.raises(Refused, match="1 to 512"):
        encoder(["a"], max_length=length)


def test_unequal_lists_are_refused(encoder: TextEncoder) -> None:
    with pytest.raises(Refused, match="2 prompts for CLIP, 1 for T5"):
        encoder(["a", "b"], ["a"], max_length=8)
