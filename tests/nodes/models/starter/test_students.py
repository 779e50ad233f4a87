"""What the starters of other families are trained with: tokenizers, encoders, lessons, and the steps of a student."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from nodes.models.encoders.tokenizer import load_tokenizer
from nodes.models.starter import families, flow_stage, gemma_stage, student_stage, teacher, umt5_stage
from nodes.models.starter.checkpoint import in_sdxl_space, load
from nodes.models.starter.grammar import sample, vocabulary
from nodes.models.starter.sampling import Parts
from nodes.models.starter.score import HERE
from nodes.models.starter.tokenizers import write_gemma, write_llama

KINDS = {"umt5": write_llama, "gemma": write_gemma}


@pytest.fixture(scope="module")
def flux() -> Parts:
    return load(HERE / "flux1")


@pytest.mark.parametrize("kind", KINDS)
def test_every_word_is_one_token(kind: str, tmp_path: Path) -> None:
    KINDS[kind](tmp_path / "words")
    tokenizer = load_tokenizer(kind, tmp_path / "words")
    for word in vocabulary():
        text = f"a {word}" if word.isalpha() else f"a{word}"
        assert int(tokenizer.read([text], 32).mask.sum()) == 3, word  # one mark, at the end or the beginning


def test_without_its_shift_the_autoencoder_makes_the_same_latents_and_pictures(flux: Parts) -> None:
    moved = in_sdxl_space(flux.vae)
    assert moved.config.shift == 0 and flux.vae.config.shift != 0
    x = torch.rand(1, 3, 128, 128) * 2 - 1
    mean, logvar = flux.vae.moments(x).chunk(2, dim=1)
    other, other_logvar = moved.moments(x).chunk(2, dim=1)
    z = flux.vae.scaled(mean)
    assert torch.allclose(moved.scaled(other), z, atol=1e-5)
    assert torch.allclose(other_logvar, logvar, atol=1e-5)
    assert torch.allclose(moved.decode(moved.unscaled(z)), flux.vae.decode(flux.vae.unscaled(z)), atol=1e-4)


def test_a_copied_umt5_reads_like_the_t5_where_there_is_no_padding(flux: Parts, tmp_path: Path) -> None:
    write_llama(tmp_path / "words")
    tokenizer = load_tokenizer("umt5", tmp_path / "words")
    net = umt5_stage.copied(flux.encoder, tokenizer)  # type: ignore[arg-type]
    text = "two small red circles on the left"  # eight tokens with the end mark
    want = flux.encoder([text], max_length=8).tensors["text"]
    tokens = tokenizer.read([text], 8)
    assert tokens.mask.all()
    got = net(input_ids=tokens.ids, attention_mask=tokens.mask).last_hidden_state
    assert torch.allclose(got, want, atol=1e-4)


def test_a_gemma_learns_to_read(tmp_path: Path) -> None:
    write_gemma(tmp_path / "words")
    tokenizer = load_tokenizer("gemma", tmp_path / "words")
    torch.manual_seed(0)
    net, r = gemma_stage.Reader(len(tokenizer)), random.Random(0)
    captions = [sample(r) for _ in range(16)]
    tokens = tokenizer.read([c.text for c in captions], 32, 8)
    best, losses = torch.optim.Adam(net.parameters(), 2e-3), []
    for _ in range(12):
        loss, _ = gemma_stage.loss_of(net, captions, tokens.ids, tokens.mask)
        loss.backward()
        best.step()
        best.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


def test_lessons_are_what_the_teacher_would_do_and_each_comes_once_an_epoch(flux: Parts, tmp_path: Path) -> None:
    data = flow_stage.pool(flux.vae, 8, 0, "cpu", 1)
    torch.manual_seed(0)
    lot = teacher.answers(flux, data, random.Random(0), 6)
    told, empty = (flux.told(texts) for texts in (lot.texts, [""] * 6))
    x, at = lot.latents.float(), lot.times
    with_text, without = (flux.starter.velocity(flux.transformer, x, at, what) for what in (told, empty))
    want = without + teacher.GUIDANCE * (with_text - without)
    assert (lot.velocities.float() - want).abs().max() < 1e-2  # float16
    lot.texts = [str(i) for i in range(6)]
    torch.save(vars(teacher.joined([lot] * 4)), tmp_path / "00000.pt")
    found = student_stage.batches(tmp_path, random.Random(0), 3)
    epoch = [text for _ in range(8) for text in next(found).texts]
    assert sorted(epoch) == sorted(lot.texts * 4)


@pytest.mark.parametrize("name", ["auraflow", "lumina"])
def test_a_student_comes_nearer_to_its_teacher(name: str, flux: Parts, tmp_path: Path) -> None:
    data = flow_stage.pool(flux.vae, 8, 0, "cpu", 1)
    torch.manual_seed(0)
    lot = teacher.joined([teacher.answers(flux, data, random.Random(i), 48) for i in range(8)])
    torch.save(vars(lot), tmp_path / "00000.pt")
    rows: list[dict[str, Any]] = []

    def read(texts: list[str]) -> dict[str, torch.Tensor]:
        text = flux.told(texts)["text"]
        return {"text": text, "mask": torch.ones(text.shape[:2])}

    starter = families.of(name)
    net: nn.Module = starter.fresh(0)
    batch = next(student_stage.batches(tmp_path, random.Random(1)))
    before = float(student_stage.loss_of(starter.velocity, net, batch, read(batch.texts))[1])
    log, look = lambda **row: rows.append(row), lambda weights, seconds: net.load_state_dict(weights)
    student_stage.train(starter, read, tmp_path, 0.15, 0, tmp_path / "kept.pt", log, look)
    after = float(student_stage.loss_of(starter.velocity, net, batch, read(batch.texts))[1])
    assert rows[-1]["samples"] and (tmp_path / "kept.pt").exists()
    assert after < before
