"""Gemma is known by its config or its vocabulary, and read without its last layer."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import GemmaConfig, GemmaModel

from graph_runtime.problem import Refused
from nodes.models.encoders import gemma, keys
from nodes.models.family import find
from nodes.models.load import load_encoder

from ..checkpoints import save, under
from ..headers import Shapes, header, shapes_of

SMALL = {
    "vocab_size": 20, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2,
    "num_key_value_heads": 1, "head_dim": 16,
}  # fmt: skip
SAID = {"model_type": "gemma", "head_dim": 16}


def published() -> Shapes:
    """google/gemma-2b as it is stored: 18 layers and the last norm, embeddings once."""
    sizes = gemma.TWO_B | {"num_hidden_layers": 18}
    with torch.device("meta"):
        return shapes_of(GemmaModel(GemmaConfig(**sizes)))


def test_gemma_2b_is_known_by_its_shapes_alone() -> None:
    shapes = published()
    assert sum(torch.Size(shape).numel() for shape in shapes.values()) == 2_506_172_416
    part = keys.match_gemma(header(shapes))
    assert part is not None and (part.kind, part.config, part.variant) == ("gemma", gemma.TWO_B, "Gemma 2B")
    assert keys.rename(part).keys() == shapes_of(gemma.build()).keys()
    assert part.header.parameters == sum(p.numel() for p in gemma.build().parameters()) == 2_396_065_792


@pytest.mark.parametrize("prefix", ["", "model.", "text_encoders.gemma.transformer.model."])
def test_every_prefix_is_taken_off_and_what_is_not_read_is_left_out(prefix: str) -> None:
    shapes = {prefix + name: shape for name, shape in published().items()}
    aside = {"lm_head.weight": (256000, 2048), f"{prefix}layers.0.self_attn.rotary_emb.inv_freq": (128,)}
    part = keys.match_gemma(header(shapes | (aside if prefix == "model." else {})))
    assert part is not None and part.prefix == prefix and part.config == gemma.TWO_B
    assert part.header.tensors.keys() == shapes_of(gemma.build()).keys()


@pytest.mark.parametrize(
    "change",
    [{"layers.0.pre_feedforward_layernorm.weight": (2048,)}, {"embed_tokens.weight": (32000, 2048)}],
    ids=["Gemma 2", "another vocabulary"],
)
def test_a_relative_is_not_taken_for_it(change: Shapes) -> None:
    assert keys.match_gemma(header(published() | change)) is None


@pytest.mark.parametrize(
    ("name", "shape"),
    [("layers.0.self_attn.q_proj.weight", (2000, 2048)), ("layers.0.self_attn.k_proj.weight", (300, 2048)),
     ("layers.99.mlp.up_proj.weight", (1, 1)), ("layers.0.mlp.gate_proj.weight", (5,))],
)  # fmt: skip
def test_shapes_that_cannot_be_gemma_are_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(Refused, match="not Gemma's"):
        keys.match_gemma(header(published() | {name: shape}))


def test_its_features_are_those_before_the_last_layer(tmp_path: Path) -> None:
    """transformers' `hidden_states[-2]`, zeroes for padding, whichever side the padding is on."""
    torch.manual_seed(0)
    theirs = GemmaModel(GemmaConfig(**SMALL)).eval()
    state = {name: tensor.clone() for name, tensor in theirs.state_dict().items()}
    path = save(tmp_path / "gemma.safetensors", under("model.", state))
    ours = load_encoder(find(path, SAID).parts["gemma"], torch.float32)
    assert len(ours.layers) == 2  # type: ignore[arg-type]
    ids, mask = torch.tensor([[2, 7, 5, 9, 0, 0], [2, 4, 4, 8, 11, 3]]), torch.tensor([[1] * 4 + [0] * 2, [1] * 6])
    with torch.no_grad():
        expected = theirs(ids, attention_mask=mask, output_hidden_states=True).hidden_states[-2]
        left = theirs(ids.roll(2, 1)[:1], attention_mask=mask.roll(2, 1)[:1], output_hidden_states=True).hidden_states
    found = gemma.encode(ours, ids, mask)  # type: ignore[arg-type]
    assert torch.allclose(found[mask.bool()], expected[mask.bool()], atol=1e-6)
    assert torch.allclose(found[0, :4], left[-2][0, 2:], atol=1e-5) and not found[0, 4:].any()
