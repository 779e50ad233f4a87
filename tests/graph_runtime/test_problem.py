"""A Problem reads as two lines and survives the way through a process border."""

from __future__ import annotations

import pickle

from graph_runtime.problem import Cancelled, Problem, Refused

WRONG = Problem("wrong-type", "mix.a", "takes LATENT, but img.image gives IMAGE.", "Put a node between.", "mix", "a")


def test_it_says_where_what_and_what_to_do() -> None:
    assert str(WRONG) == "mix.a: takes LATENT, but img.image gives IMAGE.\n    Put a node between."


def test_json_and_back() -> None:
    assert Problem.from_json(WRONG.as_json()) == WRONG
    assert Problem.from_json({"what": "?", "newer field": 1}).what == "?"


def test_refused_carries_all_of_them_even_pickled() -> None:
    refused = Refused([WRONG, WRONG])
    assert pickle.loads(pickle.dumps(refused)).problems == (WRONG, WRONG)
    assert str(refused).count("mix.a") == 2


def test_except_exception_does_not_swallow_a_cancel() -> None:
    assert not issubclass(Cancelled, Exception)
