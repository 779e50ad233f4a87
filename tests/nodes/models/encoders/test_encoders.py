"""Text encoders at their published sizes, and where CLIP's vector is taken."""

from __future__ import annotations

import torch

from nodes.models.encoders import clip, t5


def test_t5_xxl_has_its_published_size() -> None:
    assert sum(p.numel() for p in {id(p): p for p in t5.build().parameters()}.values()) == 4_762_310_656


def test_clip_l_has_its_published_size_and_nothing_uncomputed_but_weights() -> None:
    model = clip.build()
    assert sum(p.numel() for p in model.parameters()) == 123_060_480
    assert not any(buffer.is_meta for buffer in model.buffers())


def test_the_pooled_vector_is_taken_at_the_first_end_whatever_its_id() -> None:
    torch.manual_seed(0)
    small = clip.LARGE | {"vocab_size": 12, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    model = clip.build(small | {"num_attention_heads": 2}).to_empty(device="cpu")
    model.embeddings.position_ids = torch.arange(77)[None]
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.3)
    ids = torch.tensor([[1, 9, 3, 7, 7, 7], [1, 7, 11, 11, 11, 11]])  # 7 ends a text; larger ids are words
    features = model(input_ids=ids).last_hidden_state
    expected = torch.stack((features[0, 3], features[1, 1]))
    assert torch.equal(clip.pooled(model, ids, end=7), expected)
