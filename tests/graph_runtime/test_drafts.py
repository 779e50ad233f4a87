"""What is being edited is written down, and nobody overwrites somebody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from graph_runtime.problem import Refused
from graph_runtime.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path)
    yield made
    made.close()


def document(title: str) -> dict[str, object]:
    return {"title": title, "steps": {}}


def test_a_draft_is_there_after_the_store_was_closed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    made = store.drafts.put("a", document("one"), 0, name="One", workflow="w", based_on=3).result()
    store.close()
    again = Store(tmp_path)
    assert again.drafts.get("a") == (made, document("one"))
    again.close()


def test_each_writing_is_the_next_revision(store: Store) -> None:
    revisions = [store.drafts.put("a", document(str(n)), n).result().revision for n in range(3)]
    assert revisions == [1, 2, 3]
    assert store.drafts.get("a")[1] == document("2")


@pytest.mark.parametrize("follows", [0, 1, 3])
def test_what_follows_another_revision_than_the_newest_overwrites_nothing(store: Store, follows: int) -> None:
    for n in range(2):
        store.drafts.put("a", document(str(n)), n).result()
    with pytest.raises(Refused) as refused:
        store.drafts.put("a", document("mine"), follows).result()
    assert refused.value.problems[0].code == "draft-changed"
    assert store.drafts.get("a")[1] == document("1")


def test_the_same_words_said_twice_are_one_writing(store: Store) -> None:
    first = store.drafts.put("a", document("one"), 0).result()
    assert store.drafts.put("a", document("one"), 0).result() == first


def test_a_draft_that_was_removed_is_unknown(store: Store) -> None:
    store.drafts.put("a", document("one"), 0).result()
    store.drafts.remove("a").result()
    store.drafts.remove("a").result()
    with pytest.raises(Refused) as refused:
        store.drafts.get("a")
    assert refused.value.problems[0].code == "unknown-draft"


def test_a_draft_closed_in_one_window_goes_on_in_another(store: Store) -> None:
    made = store.drafts.put("a", document("one"), 0).result()
    store.drafts.remove("a").result()
    assert store.drafts.put("a", document("two"), made.revision).result().revision == made.revision + 1


def test_the_ones_not_changed_for_longest_go(tmp_path: Path) -> None:
    now = iter(range(10_000))
    store = Store(tmp_path, clock=lambda: float(next(now)))
    store.drafts.kept = 3
    for name in "abcde":
        store.drafts.put(name, document(name), 0).result()
    assert [one.id for one in store.drafts.page("")] == ["e", "d", "c"]
    store.close()
