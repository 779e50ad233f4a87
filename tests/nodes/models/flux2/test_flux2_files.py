"""Flux.2 with its text encoder and autoencoder in one file, and what becomes of damaged ones."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from graph_runtime.problem import Refused
from nodes.models.autoencoders.flux2 import Autoencoder
from nodes.models.autoencoders.flux2 import Config as VaeConfig
from nodes.models.encoders.language_keys import within
from nodes.models.family import FAMILIES, Found, _parts, find, inspect
from nodes.models.load import load_autoencoder, load_encoder, load_text_encoder, load_transformer
from nodes.models.weights.header import read_header
from nodes.models.weights.tensor import Header

from .. import checkpoints as made
from ..encoders import languages
from ..families import EXAMPLES
from . import namings

CONFIG = {"config": json.dumps(languages.MISTRAL)}


def vae_state() -> dict[str, torch.Tensor]:
    config = VaeConfig.tiny(widths=(32, 32), groups=32, latent=128, decoder_widths=(32, 32))
    with torch.device("meta"):
        found = made.drawn(Autoencoder(config), 2)
    return found | {"bn.running_mean": torch.zeros(128), "bn.running_var": torch.ones(128)}


def everything(fp8: bool = False) -> dict[str, torch.Tensor]:
    """As ComfyUI saves a checkpoint: a prefix for each model, the tokenizer beside the text encoder."""
    state, text = EXAMPLES["flux2"].state(), languages.comfy(languages.mistral())
    tekken = text.pop("tekken_model")
    pack = made.comfy_quant if fp8 else lambda plain: (plain, plain)
    return {
        **made.under("model.diffusion_model.", pack(state)[0]),
        **made.under("vae.", namings.to_ae(vae_state())),
        **made.under("text_encoders.mistral3_24b.transformer.", pack(text)[0]),
        "text_encoders.mistral3_24b.tekken_model": tekken,
    }


def test_everything_in_one_file_is_found_and_loaded(tmp_path: Path) -> None:
    path = made.save(tmp_path / "all.safetensors", everything(), CONFIG)
    seen = inspect(path)
    assert (seen["family"], sorted(seen["parts"])) == ("flux2", ["language", "transformer", "vae"])
    found = find(path)
    state = load_transformer(found, torch.float32).state_dict()
    assert all(torch.equal(state[name], t) for name, t in EXAMPLES["flux2"].state().items())
    vae = load_autoencoder(found.parts["vae"], torch.float32).state_dict()
    assert vae.keys() == vae_state().keys() and all(torch.equal(vae[name], t) for name, t in vae_state().items())
    assert found.family is not None and found.parts["language"].tokenizer == path
    text = load_text_encoder(found.family, {"language": found.parts["language"]}, torch.float32)
    assert text(["a crab"], max_length=200).tensors["text"].shape == (1, 200, 96)


def damaged(header: Header, r: random.Random) -> Header:
    """One to three tensors exchanged, left out, renumbered or given a shape that no model has."""
    names, tensors = list(header.tensors), dict(header.tensors)
    for _ in range(r.randint(1, 3)):
        name, kind = r.choice(names), r.random()
        if kind < 0.4:
            tensors[name] = header.tensors[r.choice(names)]
        elif kind < 0.6:
            tensors.pop(name, None)
        elif kind < 0.8:
            tensors[name.replace(".0.", f".{r.choice([1, 2, 7, 127, 99999])}.", 1)] = header.tensors[name]
        else:
            shape = tuple(r.choice([0, 1, 3, 16, 64, 10**9, 2**62]) for _ in range(r.randint(0, 5)))
            tensors[name] = replace(header.tensors[name], shape=shape)
    return replace(header, tensors=tensors)


@pytest.mark.parametrize("seed", range(2))
def test_a_damaged_file_is_refused_or_loaded_and_nothing_else(seed: int, tmp_path: Path) -> None:
    file = made.save(tmp_path / "m.safetensors", everything(fp8=True), CONFIG)
    header, r, refused = read_header(file), random.Random(seed), 0
    for _ in range(8):
        try:
            family, parts = _parts(damaged(header, r), FAMILIES)
            for kind, part in parts.items():
                if kind == "transformer":
                    load_transformer(Found(file, "safetensors", family, parts), torch.float32)
                elif kind == "vae":
                    load_autoencoder(part, torch.float32)
                else:
                    load_encoder(within(part, 0), torch.float32)
        except Refused as error:
            refused += 1
            assert all(problem.place and problem.fix for problem in error.problems)
    assert refused


def test_recognising_ends_with_parts_or_a_refusal(tmp_path: Path) -> None:
    """Alone, and often, whatever the names and shapes."""
    header, r = read_header(made.save(tmp_path / "m.safetensors", everything(), CONFIG)), random.Random(1)
    found: set[str] = set()
    for _ in range(400):
        try:
            _, parts = _parts(damaged(header, r), FAMILIES)
            found |= parts.keys()
            if "language" in parts:
                within(parts["language"], r.choice([0, 1, 3, 4, -1]))
        except Refused:
            found.add("refused")
    assert found == {"transformer", "language", "vae", "refused"}
