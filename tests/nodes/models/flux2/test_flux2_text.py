"""Prompts for Flux.2: what is refused, what is said, and that prompts do not depend on each other."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from graph_runtime.problem import Refused
from nodes.models.encoders import decoder, pixtral
from nodes.models.encoders.language import Language
from nodes.models.encoders.tekken import Fast
from nodes.models.flux2.text import TextEncoder

from ..encoders import languages


def encoder_of(kind: str, writes: bool = True, sees: bool = True) -> TextEncoder:
    torch.manual_seed(0)
    special = languages.SPECIAL if kind == "mistral" else languages.KLEIN_SPECIAL
    inner = languages.words(special)
    config = decoder.Config.tiny(vocabulary=inner.get_vocab_size(), qk_norm=kind == "qwen3", writes=writes)
    language = Language(kind, 4, config, pixtral.Config.tiny() if sees and kind == "mistral" else None)
    language.requires_grad_(False)
    for parameter in language.parameters():
        if parameter.ndim > 1:
            parameter.normal_(0, 0.3)
    return TextEncoder(language, Fast(inner)).eval()


@pytest.fixture(scope="module", params=["mistral", "qwen3"])
def encoder(request: pytest.FixtureRequest) -> TextEncoder:
    return encoder_of(request.param)


def test_shapes(encoder: TextEncoder) -> None:
    tensors, notes = encoder(["a red fox", "two boats"], max_length=300)
    assert tensors["text"].shape == (2, 300, 96) and notes == ()


def test_a_prompt_does_not_depend_on_its_neighbours(encoder: TextEncoder) -> None:
    together = encoder(["a red fox on the moon", "two boats"], max_length=300).tensors["text"]
    assert torch.equal(together[1:], encoder(["two boats"], max_length=300).tensors["text"])


def test_mistral_s_filling_is_all_alike_and_on_the_left_qwen3_s_is_not() -> None:
    left, right = (encoder_of(kind)(["a"], max_length=300).tensors["text"][0] for kind in ("mistral", "qwen3"))
    assert torch.equal(left[0], left[20]) and not torch.allclose(left[0], left[-1], atol=1e-3)
    assert not torch.allclose(right[-1], right[-2], atol=1e-4)


def test_layers_are_side_by_side(encoder: TextEncoder) -> None:
    usual = encoder(["a"], max_length=250).tensors["text"]
    one = encoder(["a"], max_length=250, layers=(2,)).tensors["text"]
    assert torch.equal(usual[..., 32:64], one), "layers 1, 2 and 3 of four are read"


def test_an_image_tag_in_a_prompt_is_no_picture() -> None:
    encoder = encoder_of("mistral")
    one, other = (encoder([prompt], max_length=300).tensors["text"] for prompt in ("a [IMG]b", "a b"))
    assert torch.equal(one, other)


def test_cut_text_is_quoted(encoder: TextEncoder) -> None:
    _, notes = encoder(["a very long prompt " * 40 + "about a red circle"], max_length=256)
    assert len(notes) == 1 and "256 tokens" in notes[0] and "it does not see “" in notes[0]


def test_a_second_prompt_is_said_not_to_be_read(encoder: TextEncoder) -> None:
    assert "second prompt is not read" in encoder(["a"], ["b"], max_length=250).notes[0]


@pytest.mark.parametrize("length", [0, 513])
def test_a_length_the_model_was_not_trained_with_is_refused(length: int, encoder: TextEncoder) -> None:
    with pytest.raises(Refused, match="1 to 512"):
        encoder(["a"], max_length=length)


def test_no_prompt_and_layers_that_are_not_there_are_refused(encoder: TextEncoder) -> None:
    with pytest.raises(Refused, match="no prompt"):
        encoder([], max_length=20)
    with pytest.raises(Refused, match="layer 5 was asked for, 4 are loaded"):
        encoder(["a"], max_length=20, layers=(1, 5))


def test_a_tokenizer_of_another_model_is_refused() -> None:
    encoder = encoder_of("mistral")
    larger = TextEncoder(encoder.language, Fast(languages.words(size=400)))
    encoder.language.config = replace(encoder.language.config, vocabulary=290)
    with pytest.raises(Refused, match="the text encoder has 290"):
        larger(["a hermit crab uses"], max_length=300)


def test_a_prompt_is_rewritten_alike_from_the_same_seed() -> None:
    encoder = encoder_of("mistral")
    told: list[tuple[int, int]] = []
    one, again, other = (
        encoder.rewritten("a crab", (), 1.5, seed, 8, lambda *now: told.append(now)) for seed in (1, 1, 2)
    )
    assert one == again != other
    assert told[:3] == [(1, 8), (2, 8), (3, 8)]


def test_pictures_count_and_so_does_their_number() -> None:
    encoder, generator = encoder_of("mistral"), torch.Generator().manual_seed(0)
    shown = [torch.randn(1, 3, 8, 16, generator=generator) for _ in range(2)]
    found = {encoder.rewritten("a crab", shown[:count], 0.0, most=12) for count in (0, 1, 2)}
    assert len(found) == 3


def test_a_very_long_prompt_is_cut_and_its_end_mark_kept() -> None:
    encoder = encoder_of("mistral")
    ids, _ = encoder._asked("two cats and " * 20_000, [])
    assert len(ids) < 3000 and ids[-1] == encoder.words.id_of("[/INST]")


def test_what_only_reads_or_does_not_see_says_so() -> None:
    with pytest.raises(Refused, match="loaded to read only"):
        encoder_of("mistral", writes=False).rewritten("a")
    with pytest.raises(Refused, match="no part that sees pictures"):
        encoder_of("mistral", sees=False).rewritten("a", [torch.zeros(1, 3, 8, 8)])
