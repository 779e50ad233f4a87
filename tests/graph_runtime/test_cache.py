from __future__ import annotations

from pathlib import Path

from arithmetic import Tensor
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from graph_runtime.cache import Cache
from graph_runtime.values import Many


def outputs(size: int) -> dict[str, Tensor]:
    return {"tensor": Tensor((0.0,) * (size // 8))}


def kept(cache: Cache, *keys: str) -> list[str]:
    return [key for key in keys if key in cache]


def test_what_was_put_is_recalled_and_is_the_same_object():
    cache, value = Cache(10_000), outputs(1000)
    cache.put("a", value)
    assert cache.recall("a") is value
    assert cache.recall("b") is None


def test_the_least_recently_used_leaves_first():
    cache = Cache(10_000)
    for key in "abc":
        cache.put(key, outputs(2000))
    cache.recall("a")
    cache.put("d", outputs(2000))
    assert kept(cache, *"abcd") == ["a", "c", "d"]


def test_what_others_were_made_from_stays_until_they_have_left():
    cache = Cache(13_000)
    cache.put("root", outputs(2000))
    cache.put("left", outputs(2000), parents=["root"])
    cache.put("right", outputs(2000), parents=["root"])
    cache.put("other", outputs(2000))
    assert len(kept(cache, "root", "left", "right", "other")) == 4
    cache.put("new", outputs(2000))
    assert kept(cache, "root", "left", "right", "other", "new") == ["root", "right", "other", "new"]
    cache.put("newer", outputs(2000))
    cache.put("newest", outputs(2000))
    # "right" was the oldest leaf; with it gone the root was one, and older than all others.
    assert kept(cache, "root", "right", "other", "new", "newer", "newest") == ["other", "new", "newer", "newest"]


def test_a_leaf_that_leaves_makes_its_parent_a_leaf_as_old_as_its_own_last_use():
    cache = Cache(9_000)
    cache.put("parent", outputs(2000))
    cache.put("child", outputs(2000), parents=["parent"])
    cache.put("other", outputs(2000))
    cache.put("more", outputs(2000))  # the child leaves: it is the oldest leaf
    assert kept(cache, "parent", "child", "other", "more") == ["parent", "other", "more"]
    cache.put("yet more", outputs(2000))  # now the parent is a leaf, and the oldest
    assert kept(cache, "parent", "other", "more", "yet more") == ["other", "more", "yet more"]


def test_what_is_larger_than_the_budget_is_not_kept_and_drives_nothing_out():
    cache = Cache(5_000)
    cache.put("small", outputs(1000))
    cache.put("huge", outputs(50_000))
    assert kept(cache, "small", "huge") == ["small"]


def test_no_budget_keeps_nothing():
    cache = Cache(0)
    cache.put("a", {"out": 1})
    assert cache.recall("a") is None


def test_a_value_that_no_longer_stands_is_a_miss():
    class Picture:
        there = True

        def fresh(self) -> bool:
            return self.there

    for wrap in (lambda one: one, lambda one: Many([one])):
        cache, picture = Cache(10_000), Picture()
        cache.put("a", {"file": wrap(picture)})
        assert cache.recall("a") is not None
        picture.there = False
        assert cache.recall("a") is None and "a" not in cache


def test_clear_forgets_everything():
    cache = Cache(10_000)
    cache.put("a", outputs(100))
    cache.put("b", outputs(100), parents=["a"])
    cache.clear()
    assert cache.report().entries == cache.report().bytes == 0
    cache.put("a", outputs(100))
    assert "a" in cache


def test_dear_results_come_back_from_disk_and_are_in_memory_again(tmp_path: Path):
    Cache(10_000, tmp_path).put("a" * 40, {"int": 7}, seconds=0.3)
    cache = Cache(10_000, tmp_path)
    hit = cache.get("a" * 40)
    assert hit is not None and hit.outputs == {"int": 7} and hit.tier == "disk"
    hit = cache.get("a" * 40)
    assert hit is not None and hit.tier == "memory"


def test_cheap_results_do_not_go_to_disk(tmp_path: Path):
    Cache(10_000, tmp_path).put("a" * 40, {"int": 7}, seconds=0.2)
    assert Cache(10_000, tmp_path).get("a" * 40) is None


class AnyUse(RuleBasedStateMachine):
    """Puts, recalls and clears in any order: the budget holds, and the books are right."""

    def __init__(self) -> None:
        super().__init__()
        self.cache = Cache(20_000)

    keys = st.sampled_from([f"k{i}" for i in range(12)])

    @rule(key=keys, size=st.integers(0, 12_000), parents=st.lists(keys, max_size=3, unique=True))
    def put(self, key: str, size: int, parents: list[str]) -> None:
        self.cache.put(key, outputs(size), parents=[one for one in parents if one < key])

    @rule(key=keys)
    def recall(self, key: str) -> None:
        assert (self.cache.recall(key) is not None) == (key in self.cache)

    @rule()
    def clear(self) -> None:
        self.cache.clear()

    @invariant()
    def budget_is_kept(self) -> None:
        entries = self.cache._entries
        assert self.cache.report().bytes == sum(one.size for one in entries.values()) <= 20_000
        children: dict[str, int] = {}
        for one in entries.values():
            for parent in one.parents:
                children[parent] = children.get(parent, 0) + 1
        assert children == self.cache._children
        assert all(one.in_line for key, one in entries.items() if key not in children)


AnyUse.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAnyUse = AnyUse.TestCase


@given(st.lists(st.integers(0, 30_000), max_size=30), st.integers(0, 20_000))
def test_the_budget_is_never_exceeded(sizes: list[int], budget: int):
    cache = Cache(budget)
    for i, size in enumerate(sizes):
        cache.put(str(i), outputs(size), parents=[str(i - 1)] if i % 3 else [])
        assert cache.report().bytes <= budget
