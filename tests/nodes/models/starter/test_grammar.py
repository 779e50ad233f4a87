"""Captions say what their scenes are, in words that both tokenizers hold, and held-out scenes stay held out."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import nodes.models.starter as starter
from nodes.models.starter.grammar import COUNTS, MAX_WORDS, held_out, reworded, sample, vocabulary

FOLDER = Path(starter.__file__).parent


def test_training_never_sees_a_held_out_scene() -> None:
    r = random.Random(0)
    seen = {sample(r).scene.key() for _ in range(3000)}
    asked = {sample(r, "held out").scene.key() for _ in range(300)}
    assert not seen & asked


def test_a_scene_is_held_out_under_any_wording_and_order() -> None:
    r = random.Random(1)
    for _ in range(200):
        caption = sample(r, "held out")
        other = reworded(r, caption)
        assert other.scene.key() == caption.scene.key()
        assert held_out(other.scene)


def test_what_a_caption_claims_is_what_its_scene_holds() -> None:
    r = random.Random(2)
    for _ in range(500):
        caption = sample(r)
        claims = caption.claims()
        assert len(caption.words) == len(caption.owner) <= MAX_WORDS
        for promised, thing in zip(claims["things"], caption.scene.things, strict=True):
            assert (promised["shape"], promised["colour"]) == (thing.shape, thing.colour)
            assert promised["size"] in (None, thing.size)
            assert promised["cells"] is None or thing.cell in promised["cells"]
        assert claims["background"] in (None, caption.scene.background)
        assert claims["background"] or caption.scene.background == "white"


def test_a_size_that_is_not_medium_is_always_named() -> None:
    r = random.Random(3)
    for _ in range(300):
        caption = sample(r)
        for promised, thing in zip(caption.claims()["things"], caption.scene.things, strict=True):
            assert promised["size"] == thing.size or thing.size == "medium"


def test_all_kinds_of_captions_occur() -> None:
    r = random.Random(4)
    captions = [sample(r) for _ in range(600)]
    texts = " ".join(c.text for c in captions)
    for word in (*COUNTS.values(), "above", "below", "left of", "right of", "top left", "lower right", "in a row"):
        assert word in texts
    assert {len(c.phrases) for c in captions} == {1, 2, 3}


@pytest.mark.parametrize("kind", ["T5", "CLIP"])
def test_every_word_is_one_token(kind: str) -> None:
    from transformers import CLIPTokenizer, T5TokenizerFast

    tokenizer = (
        T5TokenizerFast.from_pretrained(FOLDER / "flux1/tokenizer_2")
        if kind == "T5"
        else CLIPTokenizer.from_pretrained(FOLDER / "flux1/tokenizer")
    )
    marks = len(tokenizer("").input_ids)
    for word in vocabulary():
        text = f"a {word}" if word.isalpha() else f"a{word}"  # a comma follows its word without a space
        assert len(tokenizer(text).input_ids) == 2 + marks, word
    assert tokenizer("A Red CIRCLE").input_ids == tokenizer("a red circle").input_ids
