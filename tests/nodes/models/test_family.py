from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from graph_runtime.problem import Refused
from nodes.models.family import FAMILIES, Family, detect, family_named, find, inspect
from nodes.models.load import load_transformer

from . import checkpoints as made
from .weights.raw import record, safetensors, written

TOY = Family(f"{__package__}.toy")


def test_a_new_family_is_one_folder_and_one_line(tmp_path: Path) -> None:
    path = made.save(tmp_path / "m.safetensors", {"toy.weight": torch.arange(9.0).reshape(3, 3)})
    with pytest.raises(Refused, match=r"No family knows this model: 1 tensors, 9 numbers, mostly F32"):
        detect(path)
    families = (*FAMILIES, TOY)
    found = detect(path, families=families)
    assert (found.family, found.variant, found.config.width) == (TOY, "toy", 3)
    assert load_transformer(found, torch.float32).toy.weight[1].tolist() == [3, 4, 5]  # type: ignore[union-attr]
    flux = made.save(tmp_path / "flux.safetensors", made.flux_state())
    assert detect(flux, made.AXES, families).family == FAMILIES[0]
    assert family_named("toy", families) is TOY


def test_a_file_that_two_families_claim_is_refused(tmp_path: Path) -> None:
    path = made.save(tmp_path / "m.safetensors", made.flux_state() | {"toy.weight": torch.ones(3, 3)})
    with pytest.raises(Refused, match="Two families claim it: flux1 and toy"):
        detect(path, made.AXES, (*FAMILIES, TOY))


def test_an_unknown_family_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Refused, match=r"nope[\s\S]*Use one of flux1"):
        family_named("nope")


OTHERS = {
    "transformer.x.lora_A.weight": "a LoRA",
    "lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight": "a LoRA",
    "double_blocks.0.processor.qkv_lora1.down.weight": "a LoRA",
    "lora_unet_x.lokr_w1": "a LoKr",
    "controlnet_blocks.0.weight": "a ControlNet",
    "ip_adapter_proj_model.proj.weight": "an IP-adapter",
    "redux_up.weight": "a Flux Redux adapter",
    "distilled_guidance_layer.in_proj.weight": "a Chroma transformer",
    "double_stream_modulation_img.lin.weight": "a Flux.2 transformer",
    "txt_in.individual_token_refiner.blocks.0.mlp.fc1.weight": "a HunyuanVideo transformer",
    "joint_blocks.0.context_block.attn.qkv.weight": "a Stable Diffusion 3 transformer",
    "model.diffusion_model.input_blocks.0.0.weight": "a Stable Diffusion UNet",
    "model.layers.0.self_attn.q_proj.weight": "a language model",
    "double_layers.0.attn.w1q.weight": "an AuraFlow transformer",
    "context_refiner.0.attention.qkv.weight": "a Lumina-Image 2.0 transformer",
    "eol_token": "a part of a Lumina-T2I 5B transformer",
    "cap_embedder.1.weight": "a Lumina transformer",
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_of_another_kind_is_called_by_its_name(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, safetensors({name: record("F16", [2, 2], 0, 8)}, bytes(8)))
    with pytest.raises(Refused) as refused:
        detect(path)
    (problem,) = refused.value.problems
    assert problem.code == "other-model" and f"looks like {OTHERS[name]}" in problem.what and problem.fix


@pytest.mark.parametrize("kind", [made.t5_state, made.clip_state, made.vae_state], ids=["T5", "CLIP", "autoencoder"])
def test_a_file_without_a_transformer_says_what_it_has(kind, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = made.save(tmp_path / "m.safetensors", kind())
    assert find(path).family is None
    with pytest.raises(Refused, match=r"holds no transformer, only (T5|CLIP|autoencoder)"):
        detect(path)


def pipeline(folder: Path) -> Path:
    """A diffusers pipeline folder of our tiny models."""
    made.shards(folder / "transformer", made.flux_to_diffusers(made.flux_state()), 2, "m", made.AXES)
    made.shards(folder / "vae", made.vae_to_diffusers(made.vae_state()), 1, "m", {"scaling_factor": 0.5})
    made.shards(folder / "text_encoder", made.under("text_model.", made.clip_state()), 1, "m", {})
    made.shards(folder / "text_encoder_2", made.t5_state(), 2, "m", {})
    for name in ("tokenizer", "tokenizer_2", "scheduler"):
        (folder / name).mkdir()
    parts = {name: ["x", "y"] for name in ("transformer", "vae", "text_encoder", "text_encoder_2", "tokenizer")}
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "FluxPipeline", **parts}))
    return folder


def test_a_pipeline_folder_is_its_models_each_with_its_tokenizer(tmp_path: Path) -> None:
    found = detect(pipeline(tmp_path))
    assert found.format == "pipeline" and sorted(found.parts) == ["clip", "t5", "transformer", "vae"]
    assert found.parts["clip"].tokenizer == tmp_path / "tokenizer"
    assert found.parts["t5"].tokenizer == tmp_path / "tokenizer_2"
    assert (found.config.latent_channels, found.parts["vae"].config["scale"]) == (16, 0.5)
    assert find(tmp_path / "text_encoder_2").parts["t5"].tokenizer == tmp_path / "tokenizer_2"


def test_inspection_is_plain_data(tmp_path: Path) -> None:
    folder = pipeline(tmp_path / "p")
    seen = json.loads(json.dumps(inspect(folder)))
    assert (seen["path"], seen["format"], seen["family"], seen["variant"]) == ("p", "pipeline", "flux1", "dev")
    transformer = made.flux_state()
    assert seen["parts"]["transformer"] == {
        "kind": "dev", "layout": "diffusers", "prefix": "", "dtype": "F32", "packing": "",
        "tensors": len(made.flux_to_diffusers(transformer)),
        "parameters": sum(t.numel() for t in transformer.values()),
        "bytes": sum(t.nbytes for t in transformer.values()),
    }  # fmt: skip
    stored, _ = made.scaled_fp8(made.flux_state())
    metadata = {"config": json.dumps(made.AXES), "modelspec.title": "A\x1b[31m title"}
    seen = inspect(made.save(tmp_path / "m.safetensors", stored, metadata))
    assert seen["parts"]["transformer"]["packing"] == "scaled fp8" and seen["title"] == "A\\x1b[31m title"
    assert seen["parts"]["transformer"]["dtype"] == "F8_E4M3"


def test_the_clip_that_fits_the_transformer_is_taken(tmp_path: Path) -> None:
    wide = {**made.CLIP, "hidden_size": made.FLUX.pooled_width, "num_attention_heads": 1}
    state = made.under("text_encoders.clip_g.", made.clip_state())
    state |= made.under("text_encoders.clip_l.", made.drawn(made.clip.build(wide), 9)) | made.flux_state()
    found = find(made.save(tmp_path / "m.safetensors", state), made.AXES)
    assert found.parts["clip"].prefix == "text_encoders.clip_l."


def test_recognising_needs_no_torch(tmp_path: Path) -> None:
    """In a fresh process: `inspect` of a checkpoint leaves torch and transformers unimported."""
    import subprocess

    path = made.save(tmp_path / "m.safetensors", made.all_in_one()[0], {"config": json.dumps(made.AXES)})
    code = (
        "import sys; from pathlib import Path; from nodes.models.family import inspect\n"
        f"assert inspect(Path({str(path)!r}))['family'] == 'flux1'\n"
        "assert not {'torch', 'transformers', 'numpy', 'gguf'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
