"""Conditionings put together."""

from __future__ import annotations

import torch

from nodes.models.sampling.conditions import filling, joined, padded


def told(length: int, masked: bool = True, width: int = 3) -> dict[str, torch.Tensor]:
    one = {"text": torch.randn(1, length, width), "pooled": torch.randn(1, 5)}
    return one | ({"mask": torch.ones(1, length)} if masked else {})


def test_texts_with_masks_are_padded_to_the_longest() -> None:
    short, long = told(4), told(8)
    both = joined([short, long])
    assert both is not None and both["text"].shape == (2, 8, 3) and both["pooled"].shape == (2, 5)
    assert both["mask"].tolist() == [[1] * 4 + [0] * 4, [1] * 8]
    assert torch.equal(both["text"][0, :4], short["text"][0]) and not both["text"][0, 4:].any()


def test_what_does_not_fit_is_not_joined() -> None:
    assert joined([told(4, masked=False), told(8, masked=False)]) is None
    assert joined([told(4), told(4, masked=False)]) is None
    assert joined([told(4), told(4, width=7)]) is None


def test_rows_are_repeated_one_by_one() -> None:
    assert filling({"text": torch.tensor([[1], [2]])}, 4)["text"].tolist() == [[1], [1], [2], [2]]


def test_padding_to_the_same_length_changes_nothing() -> None:
    one = told(4)
    assert padded(one, 4) == one
