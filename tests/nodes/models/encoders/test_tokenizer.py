"""Tokenizers are read from a folder, without a network, or refused with what is wanted."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from transformers import CLIPTokenizer

from graph_runtime.problem import Refused
from nodes.models.encoders.tokenizer import MAX_BYTES, load_tokenizer

PIECES = ["a", "b", "a</w>", "b</w>", "<|startoftext|>", "<|endoftext|>"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    vocab = {piece: i for i, piece in enumerate(PIECES)}
    CLIPTokenizer(vocab=vocab, merges=[], model_max_length=77).save_pretrained(tmp_path)
    return tmp_path


def test_ids_begin_end_and_are_padded(folder: Path) -> None:
    tokenizer = load_tokenizer("clip", folder)
    ids, notes = tokenizer.ids(["ab", "b"], 6)
    assert tokenizer.end == 5 and notes == []
    assert ids.tolist() == [[4, 0, 3, 5, 5, 5], [4, 3, 5, 5, 5, 5]]


def test_vocabulary_and_merges_are_enough(tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text(json.dumps({piece: i for i, piece in enumerate(PIECES)}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    assert load_tokenizer("clip", tmp_path).ids(["ab"], 5)[0].tolist() == [[4, 0, 3, 5, 5]]


def test_no_network_is_touched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was attempted")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    load_tokenizer("clip", folder)


def test_code_in_the_folder_does_not_run(folder: Path) -> None:
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config["auto_map"] = {"AutoTokenizer": ["evil.Evil", None]}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\nclass Evil: pass\n")
    load_tokenizer("clip", folder)
    assert not (folder / "ran").exists()


@pytest.mark.parametrize("kind", ["clip", "t5"])
def test_a_missing_tokenizer_is_refused_with_the_files_it_wants(kind: str, tmp_path: Path) -> None:
    for where in (None, tmp_path):
        with pytest.raises(Refused, match=r"tokenizer\.json"):
            load_tokenizer(kind, where)  # type: ignore[arg-type]


def test_a_broken_or_enormous_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(Refused, match="cannot be read"):
        load_tokenizer("clip", tmp_path)
    with (tmp_path / "tokenizer.json").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(Refused, match="larger than"):
        load_tokenizer("clip", tmp_path)
