"""What the starter can be told to change: names that pick out what is meant, and scenes that differ in that alone."""

from __future__ import annotations

import random

import numpy as np
import pytest

from nodes.models.starter.edits import KINDS, Edit, drawn, matching, reversed_edit, reworded_edit, sample_edit
from nodes.models.starter.grammar import MAX_WORDS, Scene, Thing, held_out
from nodes.models.starter.judge import judge


@pytest.fixture(scope="module")
def edits() -> list[Edit]:
    r = random.Random(11)
    return [sample_edit(r) for _ in range(600)]


def by_cell(scene: Scene) -> dict[int, Thing]:
    return {thing.cell: thing for thing in scene.things}


def test_every_kind_is_asked_for(edits: list[Edit]) -> None:
    assert {edit.told.kind for edit in edits} == set(KINDS)


def test_only_what_is_named_changes_and_only_as_it_is_told(edits: list[Edit]) -> None:
    for edit in edits:
        before, after = by_cell(edit.before), by_cell(edit.after)
        if edit.told.kind == "ground":
            assert before == after
            assert edit.after.background == edit.told.value != edit.before.background
            assert edit.told.value not in {thing.colour for thing in edit.after.things}
            continue
        named = matching(edit.before, edit.told)
        assert named
        assert edit.after.background == edit.before.background
        assert {cell: thing for cell, thing in before.items() if cell not in named} == {
            cell: thing for cell, thing in after.items() if cell not in named
        }
        for cell in named:
            if edit.told.kind == "remove":
                assert cell not in after
            else:
                assert getattr(after[cell], edit.told.kind) == edit.told.value != getattr(before[cell], edit.told.kind)


def test_other_words_for_an_edit_mean_the_same_things(edits: list[Edit]) -> None:
    r, texts = random.Random(2), 0
    for edit in edits:
        other = reworded_edit(r, edit)
        assert (other.before, other.after, other.meant) == (edit.before, edit.after, edit.meant)
        if edit.told.kind != "ground":
            assert matching(edit.before, other.told) == {thing.cell for thing in edit.meant}
        texts += other.text != edit.text
    assert texts > len(edits) / 3


def test_an_edit_taken_back_leads_to_the_scene_before(edits: list[Edit]) -> None:
    r, found = random.Random(4), 0
    for edit in edits:
        back = reversed_edit(r, edit)
        if back is None:
            continue
        found += 1
        assert (back.before, back.after) == (edit.after, edit.before)
        if edit.told.kind != "ground":
            assert matching(back.before, back.told) == {thing.cell for thing in edit.meant}
    assert found > len(edits) / 2


def test_something_is_left_and_nothing_hides_in_the_ground(edits: list[Edit]) -> None:
    for edit in edits:
        assert edit.after.things
        assert edit.after.background not in {thing.colour for thing in edit.after.things}
        assert len(edit.words) <= MAX_WORDS


def test_training_and_scoring_share_no_scene(edits: list[Edit]) -> None:
    r = random.Random(3)
    assert not any(held_out(edit.before) or held_out(edit.after) for edit in edits)
    assert all(held_out(e.before) and held_out(e.after) for e in (sample_edit(r, "held out") for _ in range(40)))


def test_the_judge_finds_what_an_edit_claims_in_its_picture_and_not_in_the_one_before(edits: list[Edit]) -> None:
    """But for large neighbours that touch, which it takes for one thing: one picture of 200."""
    found = [all(judge(drawn(edit.after, str(i)), edit.claims()).values()) for i, edit in enumerate(edits[:100])]
    assert sum(found) >= 98
    for i, edit in enumerate(edits[:100]):
        assert not all(judge(drawn(edit.before, str(i)), edit.claims()).values()), edit.text


def test_both_pictures_are_the_same_outside_what_changes(edits: list[Edit]) -> None:
    for edit in [one for one in edits if one.told.kind != "ground"][:60]:
        before, after = drawn(edit.before, "x"), drawn(edit.after, "x")
        rows, columns = np.nonzero((before != after).any(-1))
        for cell in matching(edit.before, edit.told):  # a large diamond reaches 20 pixels from its middle
            y, x = (24 + 40 * place for place in divmod(cell, 3))
            near = (abs(rows + 0.5 - y) < 22) & (abs(columns + 0.5 - x) < 22)
            assert near.any()
            rows, columns = rows[~near], columns[~near]
        assert not len(rows)
