"""The language model by itself: filling, keeping keys, and drawing words."""

from __future__ import annotations

import pytest
import torch

from nodes.models.encoders.decoder import Cache, Config, Decoder, chosen
from nodes.models.encoders.language import Language


@pytest.fixture(scope="module")
def model() -> Language:
    torch.manual_seed(0)
    return Language("mistral", 4, Config.tiny(writes=True)).eval().requires_grad_(False)


IDS = torch.tensor([5, 9, 33, 12, 60, 7])


def test_words_do_not_see_what_follows_them(model: Language) -> None:
    whole, beginning = model.hidden(IDS, (2, 4)), model.hidden(IDS[:4], (2, 4))
    assert torch.allclose(whole[:4], beginning, atol=1e-6)


def test_filling_at_the_end_sees_the_text_and_nobody_sees_it(model: Language) -> None:
    text, filled = model.hidden(IDS, (1, 3)), model.hidden(torch.cat((IDS, torch.tensor([1, 1]))), (1, 3), seen=6)
    assert torch.allclose(filled[:6], text, atol=1e-6)
    assert not torch.allclose(filled[6], filled[7], atol=1e-4), "they stand at other positions"


def test_a_token_alone_is_one_whose_attention_is_nothing(model: Language) -> None:
    """As if every value were zero, which is what no key to attend to comes to."""
    torch.manual_seed(0)
    empty = Language("mistral", 4, Config.tiny(writes=True)).eval().requires_grad_(False)
    for layer in empty.layers:
        layer.self_attn.v_proj.weight.zero_()
    assert torch.allclose(model.alone(7, (0, 2, 3)), empty.hidden(torch.tensor([7]), (0, 2, 3))[0], atol=1e-6)


def test_only_distances_between_words_count(model: Language) -> None:
    assert torch.allclose(model.hidden(IDS, (3,)), model.hidden(IDS, (3,), start=300), atol=1e-4)


def test_word_by_word_gives_what_the_whole_text_gives(model: Language) -> None:
    embedded = model.embed_tokens(IDS)[None]
    whole = model.scores(embedded, Cache(model.config, 6, embedded))
    cache = Cache(model.config, 6, embedded)
    model.scores(embedded[:, :3], cache)
    for i in (3, 4):
        model.scores(embedded[:, i : i + 1], cache)
    assert torch.allclose(model.scores(embedded[:, 5:], cache), whole, atol=1e-5) and cache.length == 6


def test_without_temperature_the_likeliest_word_is_taken(model: Language) -> None:
    (first, *_), (again, *_) = (list(model.written(IDS.tolist(), 2, 4, 0.0, seed, None)) for seed in (1, 2))
    embedded = model.embed_tokens(IDS)[None]
    assert first == again == int(model.scores(embedded, Cache(model.config, 6, embedded)).argmax())


def test_writing_ends_with_the_end_or_after_so_many_words(model: Language) -> None:
    words = list(model.written(IDS.tolist(), -1, 5, 1.0, 3, None))
    assert len(words) == 5
    assert list(model.written(IDS.tolist(), words[2], 5, 1.0, 3, None)) == words[: words.index(words[2])]


def test_only_the_likeliest_are_drawn() -> None:
    scores, generator = torch.arange(100.0) / 10, torch.Generator().manual_seed(0)
    drawn = {chosen(scores, 3.0, generator, most=5) for _ in range(200)}
    assert drawn == {95, 96, 97, 98, 99}
    assert {chosen(scores, 0.001, generator) for _ in range(20)} == {99}


def test_pieces_of_a_picture_take_the_place_of_their_token(model: Language) -> None:
    pieces = torch.randn(2, 32)
    usual, seen = ([*model.written([5, 10, 10, 7], -1, 3, 0.0, 0, eye)] for eye in (None, (10, pieces)))
    same = [*model.written([5, 10, 10, 7], -1, 3, 0.0, 0, (10, model.embed_tokens.weight[[10, 10]]))]
    assert same == usual and len(seen) == 3


def test_layers_that_are_not_asked_for_are_not_run() -> None:
    torch.manual_seed(0)
    model = Decoder(Config.tiny()).eval().requires_grad_(False)
    usual = model.hidden(IDS, (1, 2))
    for parameter in model.layers[2].parameters():
        parameter.fill_(float("nan"))
    assert torch.equal(model.hidden(IDS, (1, 2)), usual)
    assert not model.hidden(IDS, (1, 3)).isfinite().all()
