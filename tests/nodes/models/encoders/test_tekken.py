"""Mistral's own tokenizer file says what transformers' says; malformed ones are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph_runtime.problem import Refused
from nodes.models.encoders.tekken import Fast, Tekken, load_words, parsed

from . import languages

INNER = languages.words()
FAST, OWN = Fast(INNER), parsed(json.dumps(languages.tekken(INNER)).encode(), "tekken.json")
PARTS = [
    *languages.SPECIAL,
    "a hermit crab",
    " cats",
    "THREE",
    "42",
    "山中",
    "Grüße",
    "\n\n",
    "  ",
    "é",
    "\u0301",
    "🦀",
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(PARTS), st.text(max_size=6)), max_size=8).map("".join))
def test_both_files_give_the_same_ids_and_texts(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    ids = OWN.ids(text)
    assert ids == FAST.ids(text)
    assert OWN.text(ids) == FAST.text(ids)


def test_special_tokens_are_read_where_they_stand_and_left_out_of_texts() -> None:
    ids = OWN.ids("<s>[INST]a[/INST]")
    assert (ids[0], ids[1], ids[-1]) == (1, 3, 4)
    assert OWN.text(ids) == "a"
    assert OWN.id_of("<pad>") == FAST.id_of("<pad>") == 11 and OWN.id_of("nothing") is None
    assert len(OWN) == len(FAST) == INNER.get_vocab_size()


def test_entries_beyond_the_vocabulary_are_not_used() -> None:
    assert "never used" not in [token.decode(errors="replace") for token in OWN.ranks]


def test_a_file_that_lists_no_special_tokens_has_mistral_s() -> None:
    plain = languages.tekken(INNER)
    del plain["special_tokens"]
    assert parsed(json.dumps(plain).encode(), "m").ids("[INST]") == [3]


def changed(**config: Any) -> Callable[[dict[str, Any]], object]:
    return lambda whole: whole["config"].update(config)


WRONG: dict[str, Callable[[dict[str, Any]], object]] = {
    "another pattern": changed(pattern="(a+)+$"),
    "no sizes": lambda whole: whole.pop("config"),
    "sizes that are no numbers": changed(default_num_special_tokens="many"),
    "a size below nothing": changed(default_vocab_size=-5),
    "not every byte": lambda whole: whole["vocab"].__delitem__(slice(0, 3)),
    "bytes that are no base64": lambda whole: whole["vocab"][0].update(token_bytes="é"),
    "ranks beyond the end": lambda whole: whole["vocab"][0].update(rank=10**9),
    "a special token that is nothing": lambda whole: whole["special_tokens"][5].update(token_str=""),
    "a special token that is no text": lambda whole: whole["special_tokens"][5].update(token_str=7),
    "a special token among the words": lambda whole: whole["special_tokens"][5].update(rank=30),
    "entries of another kind": lambda whole: whole.update(vocab=[1, 2, 3]),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_malformed_file_is_refused(kind: str) -> None:
    whole = languages.tekken(INNER)
    WRONG[kind](whole)
    with pytest.raises(Refused, match="tekken tokenizer"):
        parsed(json.dumps(whole).encode(), "m")


@pytest.mark.parametrize("raw", [b"", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"config": {}}'])
def test_what_is_no_such_file_is_refused(raw: bytes) -> None:
    with pytest.raises(Refused, match="cannot be read"):
        parsed(raw, "m")


def test_a_folder_may_have_either_file(tmp_path: Path) -> None:
    own, fast, none = tmp_path / "own", languages.tokenizer_folder(tmp_path / "fast"), tmp_path / "none"
    own.mkdir()
    none.mkdir()
    (own / "tekken.json").write_text(json.dumps(languages.tekken(INNER)))
    assert isinstance(load_words(own, "Mistral"), Tekken) and isinstance(load_words(fast, "Mistral"), Fast)
    assert load_words(own, "Mistral").ids("a crab") == load_words(fast, "Mistral").ids("a crab")
    for place in (none, None, tmp_path / "own" / "tekken.json"):
        with pytest.raises(Refused):
            load_words(place, "Mistral")
    (fast / "tokenizer.json").write_text("{")
    with pytest.raises(Refused, match="cannot be read as a tokenizer"):
        load_words(fast, "Mistral")
