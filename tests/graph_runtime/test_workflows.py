from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from graph_runtime.problem import Refused
from graph_runtime.store import Limits, Store
from graph_runtime.workflows import Workflows


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path, limits=Limits(versions=3, ballast_bytes=0, reserve_bytes=0))
    yield store
    store.close()


@pytest.fixture
def workflows(store: Store) -> Workflows:
    return store.workflows


def code(refusal: pytest.ExceptionInfo[Refused]) -> str:
    return refusal.value.problems[0].code


def test_every_saving_is_a_version_and_an_equal_one_is_none(workflows: Workflows) -> None:
    made = workflows.create("  Cats \n at night ", {"n": 1}, note="first").result()
    assert (made.name, made.version) == ("Cats at night", 1)
    assert workflows.save(made.id, {"n": 1}).result() == made
    assert workflows.save(made.id, {"n": 2}).result().version == 2
    assert workflows.document(made.id) == {"n": 2}
    assert workflows.document(made.id, 1) == {"n": 1}
    assert [(one.version, one.note) for one in workflows.versions(made.id)] == [(2, ""), (1, "first")]


def test_what_was_saved_meanwhile_is_not_lost(workflows: Workflows) -> None:
    id = workflows.create("cats", {"n": 1}).result().id
    workflows.save(id, {"n": 2}, based_on=1).result()
    with pytest.raises(Refused) as refusal:
        workflows.save(id, {"n": 3}, based_on=1).result()
    assert code(refusal) == "workflow-changed"
    assert workflows.document(id) == {"n": 2}


def test_names_are_a_users_own(workflows: Workflows) -> None:
    cats = workflows.create("cats", {}, user="ann").result()
    workflows.create("cats", {}, user="bob").result()
    dogs = workflows.create("dogs", {}, user="ann").result()
    with pytest.raises(Refused) as refusal:
        workflows.create("cats", {}, user="ann").result()
    assert code(refusal) == "name-taken"
    with pytest.raises(Refused):
        workflows.rename(dogs.id, "cats").result()
    assert workflows.rename(cats.id, "lions").result().name == "lions"
    assert [one.name for one in workflows.page("ann")] == ["lions", "dogs"], "the last changed first"
    for bad in ("", " ", "a\x00", "x" * 201):
        with pytest.raises(Refused):
            workflows.create(bad, {})


def test_the_oldest_versions_leave_and_what_nothing_uses_with_them(store: Store) -> None:
    id = store.workflows.create("cats", {"n": 0}).result().id
    for n in range(1, 6):
        store.workflows.save(id, {"n": n}).result()
    assert [one.version for one in store.workflows.versions(id)] == [6, 5, 4]
    with pytest.raises(Refused) as refusal:
        store.workflows.document(id, 1)
    assert code(refusal) == "unknown-version"
    assert store.database.read(lambda view: view.value("SELECT count(*) FROM graphs")) == 3
    store.workflows.remove(id).result()
    assert store.database.read(lambda view: view.value("SELECT count(*) FROM graphs")) == 0
    with pytest.raises(Refused) as refusal:
        store.workflows.get(id)
    assert code(refusal) == "unknown-workflow"
