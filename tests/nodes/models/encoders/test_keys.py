from __future__ import annotations

import pytest
import torch

from graph_runtime.problem import Refused
from nodes.models.encoders import clip, keys, t5, umt5

from ..headers import header, shapes_of

CLIP_L = shapes_of(clip.build())
T5_XXL = shapes_of(t5.build())
PILE_T5 = shapes_of(umt5.build())


def test_clip_l_is_known_by_its_shapes_alone() -> None:
    (part,) = keys.match_clip(header({f"text_model.{name}": shape for name, shape in CLIP_L.items()}))
    assert (part.config, part.variant, part.prefix) == (clip.LARGE, "CLIP-L", "text_model.")
    assert part.header.parameters == 123_060_480 and len(part.header.tensors) == 196
    assert keys.rename(part).keys() == CLIP_L.keys()


def test_t5_xxl_is_known_by_its_shapes_alone() -> None:
    part = keys.match_t5(header(T5_XXL))
    assert part is not None
    assert (part.kind, part.config, part.variant) == ("t5", t5.XXL, "T5-XXL")
    assert part.header.parameters == 4_762_310_656 and len(part.header.tensors) == 219
    assert keys.rename(part).keys() == T5_XXL.keys() | {"encoder.embed_tokens.weight"}


def test_pile_t5_is_known_as_umt5_whatever_it_is_called() -> None:
    """By a table of positions in its second block; read as T5, a third of its output would be wrong."""
    part = keys.match_t5(header(PILE_T5, {"model_type": "t5", "architectures": ["T5EncoderModel"]}))
    assert part is not None
    assert (part.kind, part.config, part.variant) == ("umt5", umt5.PILE_XL, "UMT5-XL")
    assert part.header.parameters == 1_223_550_976 and len(part.header.tensors) == 242
    assert keys.rename(part).keys() == PILE_T5.keys() | {"encoder.embed_tokens.weight"}


def test_what_lies_beside_a_text_encoder_is_left_out() -> None:
    prefix = "text_encoders.clip_l.transformer.text_model."
    beside = {
        f"{prefix}embeddings.position_ids": (1, 77),
        "text_encoders.clip_l.transformer.text_projection.weight": (768, 768),
        "text_encoders.clip_l.logit_scale": (),
        "text_encoders.t5xxl.logit_scale": (),
        "text_encoders.t5xxl.transformer.lm_head.weight": (32128, 4096),
        "text_encoders.t5xxl.transformer.decoder.block.0.layer.0.SelfAttention.q.weight": (4096, 4096),
    }
    shapes = {prefix + name: shape for name, shape in CLIP_L.items()}
    shapes |= {f"text_encoders.t5xxl.transformer.{name}": shape for name, shape in T5_XXL.items()}
    file = header(shapes | beside)
    (found,), long = keys.match_clip(file), keys.match_t5(file)
    assert found.header.tensors.keys() == CLIP_L.keys()
    assert long is not None and long.header.tensors.keys() == T5_XXL.keys()


def test_what_is_left_of_a_file_without_text_encoders_is_nothing() -> None:
    file = header({"encoder.layers.0.x": (1,), "decoder.block.0.layer.0.SelfAttention.q.weight": (4, 4)})
    assert keys.match_clip(file) == [] and keys.match_t5(file) is None


def test_a_config_beside_it_says_what_no_shape_tells() -> None:
    (part,) = keys.match_clip(header(CLIP_L, {"num_attention_heads": 8, "hidden_act": "gelu", "layer_norm_eps": 1e-6}))
    names = ("num_attention_heads", "hidden_act", "layer_norm_eps")
    assert [part.config[name] for name in names] == [8, "gelu", 1e-6]
    with pytest.raises(Refused, match="7 heads"):
        keys.match_clip(header(CLIP_L, {"num_attention_heads": 7}))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("shared.weight", (32128,)),
        ("encoder.block.0.layer.0.SelfAttention.q.weight", (4095, 4096)),
        ("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", (32,)),
        ("encoder.block.0.layer.1.DenseReluDense.wo.weight", ()),
        ("encoder.block.99.layer.0.layer_norm.weight", (4096,)),
    ],
)
def test_shapes_that_cannot_be_t5_are_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(Refused, match="not T5's"):
        keys.match_t5(header(T5_XXL | {name: shape}))


def test_relu_instead_of_a_gate_is_seen_in_the_names() -> None:
    plain = {name.replace("wi_0", "wi"): shape for name, shape in T5_XXL.items() if "wi_1" not in name}
    part = keys.match_t5(header(plain))
    assert part is not None and part.config["feed_forward_proj"] == "relu"
    with torch.device("meta"):
        assert shapes_of(t5.build(part.config)) == plain
