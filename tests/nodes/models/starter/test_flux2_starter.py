"""How the Flux.2 starter is made: its words are tokens, its lessons are right, it trains, and its folder is small."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import Qwen2TokenizerFast

import nodes.models.starter
from nodes.models.encoders.tekken import load_words
from nodes.models.flux2.text import CHATS
from nodes.models.flux2.tokens import unpack
from nodes.models.starter import edit_stage, qwen_words, reading_stage
from nodes.models.starter.checkpoint import in_flux2_space, load
from nodes.models.starter.edit_score import held_out_edits, shown, tally
from nodes.models.starter.edits import drawn, sample_edit
from nodes.models.starter.families import flux2
from nodes.models.starter.grammar import BACKGROUNDS, COLOURS, SHAPES, sample
from nodes.models.starter.student_stage import SORTED
from nodes.models.starter.teacher import Lessons
from nodes.models.starter.vae_stage import to_tensor

STARTERS = Path(nodes.models.starter.__file__).parent
MOST = 12_000_000  # bytes


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    qwen_words.write(folder / "tokenizer")
    return folder


@pytest.fixture(scope="module")
def vae() -> Any:
    return in_flux2_space(load(STARTERS / "flux1").vae)


def prompts() -> list[Any]:
    r = random.Random(5)
    return [sample(r) if i % 2 else sample_edit(r) for i in range(300)]


def test_every_word_is_one_token_and_the_chat_is_twelve(words: Path) -> None:
    chat, tokenizer = CHATS["qwen3"], load_words(words / "tokenizer", "Qwen3")
    for prompt in prompts():
        for text in (prompt.text, prompt.text[0].upper() + prompt.text[1:]):
            assert len(tokenizer.ids(chat.before + text + chat.after)) == len(prompt.words) + 12


def test_transformers_reads_the_same_tokens_in_the_same_chat(words: Path) -> None:
    theirs, ours = Qwen2TokenizerFast.from_pretrained(words / "tokenizer"), load_words(words / "tokenizer", "Qwen3")
    for text in ("Make the circle green!", "Grüße, 42 red circles", ""):
        told = [{"role": "user", "content": text}]
        chat = theirs.apply_chat_template(told, tokenize=False, add_generation_prompt=True, enable_thinking=False)
        assert chat == CHATS["qwen3"].before + text + CHATS["qwen3"].after
        assert theirs(chat).input_ids == ours.ids(chat)


def test_the_tokenizer_that_is_shipped_is_the_one_that_is_written(words: Path) -> None:
    for name in ("vocab.json", "merges.txt", "tokenizer.json"):
        assert (STARTERS / "flux2" / "tokenizer" / name).read_bytes() == (words / "tokenizer" / name).read_bytes()


def test_lessons_say_what_the_caption_and_the_instruction_say() -> None:
    asked = prompts()
    want = reading_stage.lessons(asked)
    for i, prompt in enumerate(asked):
        if i % 2:
            for thing in prompt.scene.things:
                assert SHAPES[want["tail_shape"][i, thing.cell]] == thing.shape
                assert COLOURS[want["tail_colour"][i, thing.cell]] == thing.colour
            assert int(want["tail_here"][i].sum()) == len(prompt.scene.things)
            assert BACKGROUNDS[want["tail_ground"][i, 0]] == prompt.scene.background
        else:
            told = prompt.told
            assert reading_stage.TAIL["kind"][want["tail_kind"][i, 0]] == told.kind
            assert int(want["tail_shape"][i, 0]) == (SHAPES.index(told.shape) if told.shape else len(SHAPES))
            assert int(want["tail_here"][i].sum()) == (len(told.cells) if told.cells else 9)


def test_the_language_model_learns_to_read(words: Path) -> None:
    rows: list[dict[str, Any]] = []
    net = reading_stage.Reader(len(reading_stage.Words(words).tokenizer))
    best = reading_stage.Both(net, 4e-3, lambda n, p: "embed" in n or "_head" in n)
    r = random.Random(0)
    for _ in range(12):
        asked = [sample(r) for _ in range(16)]
        ids, counts = reading_stage.Words(words).ids([p.text for p in asked])
        loss, _ = reading_stage.loss_of(net, ids, counts, reading_stage.lessons(asked))
        loss.backward()
        best.step()
        rows.append({"loss": float(loss.detach())})
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]


def test_the_latents_are_the_flux1_starters(vae: Any) -> None:
    first = load(STARTERS / "flux1").vae
    r = random.Random(1)
    x = to_tensor(drawn(sample(r).scene, "a")[None])
    cells = first.scaled(first.encode(x)[0])  # (1, 16, 16, 16); a token is 2 × 2 of them, channels first
    ours = vae.scaled(vae.encode(x)[0])
    theirs = cells.view(1, 16, 8, 2, 8, 2).permute(0, 1, 3, 5, 2, 4).reshape(1, 64, 8, 8)
    assert float((ours - theirs).abs().max()) < 1e-5
    assert float((vae.decode(vae.unscaled(ours)) - first.decode(first.unscaled(cells))).abs().max()) < 1e-4


def test_the_pool_holds_both_pictures_of_an_edit_and_weighs_what_changes(vae: Any) -> None:
    data = edit_stage.pool(vae, 6, 3)
    for i, edit in enumerate(data.edits):
        for latents, scene in ((data.before, edit.before), (data.after, edit.after)):
            x = to_tensor(drawn(scene, f"3/{i}")[None])
            assert float((vae.scaled(vae.encode(x)[0]) - unpack(latents[i : i + 1].float(), 8, 8)).abs().max()) < 0.02
        if edit.told.kind != "ground":
            assert data.weights[i].max() > 2 * data.weights[i].min()


def test_without_an_instruction_the_picture_is_to_stay_and_the_way_back_is_an_edit_too(vae: Any) -> None:
    data, heard = edit_stage.pool(vae, 6, 3), []

    def read(texts: list[str], length: Any) -> torch.Tensor:
        heard.extend(texts)
        return torch.zeros(len(texts), 14, flux2.CONFIG.text_width)

    x0, _, _, _, told = edit_stage.batch_of(data, read, random.Random(0), 200)
    shown_ = told["reference.0"].flatten(2).mT
    stays = torch.tensor([not text for text in heard])
    assert 0 < stays.sum() < 40
    assert (x0[stays] == shown_[stays]).all()
    assert not (x0[~stays] == shown_[~stays]).all((1, 2)).any()
    forth = [edit.told.kind == "remove" for edit in data.edits]
    firsts = [any(torch.equal(row, one.float()) for row in shown_) for one in data.after[~torch.tensor(forth)]]
    assert any(firsts)  # what an edit leads to is shown, to be led back


def test_the_transformer_learns_and_goes_on_where_it_was(vae: Any, tmp_path: Path) -> None:
    def read(texts: list[str], length: Any) -> torch.Tensor:
        return torch.zeros(len(texts), 14, flux2.CONFIG.text_width)

    (tmp_path / "lessons").mkdir()
    count = edit_stage.BATCH * SORTED
    taught = Lessons(
        ["a red circle"] * count, *torch.zeros(2, count, 64, 64).half(), torch.rand(count), torch.ones(count, 64)
    )
    torch.save(vars(taught), tmp_path / "lessons" / "00000.pt")
    data, rows = edit_stage.pool(vae, 4, 0), []
    arguments = (0, tmp_path / "saved.pt", lambda **row: rows.append(row), lambda weights, seconds: None)
    weights = edit_stage.train(read, data, tmp_path / "lessons", 0.15, *arguments)
    steps = torch.load(tmp_path / "saved.pt", weights_only=True)["steps"]
    edit_stage.train(read, data, tmp_path / "lessons", 0.3, *arguments)
    assert torch.load(tmp_path / "saved.pt", weights_only=True)["steps"] > steps > 0
    assert set(weights) == set(dict(flux2.fresh(0).named_parameters()))


def test_velocity_in_training_is_the_velocity_of_the_nodes() -> None:
    parts = load(STARTERS / "flux2")
    r = random.Random(2)
    edits = [sample_edit(r, "held out") for _ in range(2)]
    told = {**parts.told([e.text for e in edits]), **parts.shown(shown(edits, 0))}
    x = torch.randn(2, 64, 8, 8)
    theirs = parts.family.transformer.velocity(parts.transformer, told, x.shape, [0.5])(x, 0.5)
    ours = flux2.velocity(parts.transformer, x.flatten(2).mT, torch.full((2,), 0.5), told)
    assert float((unpack(ours, 8, 8) - theirs).abs().max()) < 1e-4


def test_the_score_counts_perfect_edits_as_right_and_none_as_wrong() -> None:
    edits = held_out_edits(12, 7)
    perfect = [drawn(edit.after, str(i)) for i, edit in enumerate(edits)]
    assert tally(np.stack(perfect), edits)[0]["all"] >= 11 / 12  # the judge takes large neighbours that touch for one
    assert tally(shown(edits, 7), edits)[0]["all"] == 0.0
    assert len({(e.before.key(), e.after.key()) for e in edits}) == 12


def test_the_folder_is_small() -> None:
    assert sum(path.stat().st_size for path in (STARTERS / "flux2").rglob("*")) <= MOST
