"""llama.cpp's names of text encoders, against the tables of the gguf package itself."""

from __future__ import annotations

import gguf
import pytest

from nodes.models.encoders import keys, language_keys


@pytest.mark.parametrize("arch", ["LLAMA", "MISTRAL3", "QWEN3"])
def test_language_models_have_the_names_that_gguf_gives_them(arch: str) -> None:
    if not hasattr(gguf.MODEL_ARCH, arch):
        pytest.skip(f"this gguf knows no {arch}")
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[arch], 2)
    for short, ours in language_keys.GGUF_BLOCK.items():
        if ours.endswith("_norm") and arch != "QWEN3" and "self_attn" in ours:
            continue  # only Qwen3 norms its queries and keys
        assert names.get_name(f"model.layers.1.{ours}") == f"blk.1.{short}", ours
    for theirs, ours in language_keys.GGUF_OUTSIDE.items():
        stem = ours.removesuffix(".weight")
        given = stem if stem == "lm_head" else f"model.{stem}"
        assert f"{names.get_name(given)}.weight" == theirs


def test_t5_has_the_names_that_gguf_gives_it() -> None:
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.T5ENCODER, 2)
    for short, ours in keys.GGUF_NAMES.items():
        assert names.get_name(f"encoder.block.1.{ours}") == f"enc.blk.1.{short}", ours
    assert names.get_name("shared") == "token_embd" and names.get_name("encoder.final_layer_norm") == "enc.output_norm"
