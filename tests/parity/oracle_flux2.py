"""The oracle for Flux.2: tiny pipelines of diffusers, saved as a folder, and ours loaded from that folder.

Every weight is drawn by its name, as in `oracle`. The tokenizer is trained here, with the published special ids.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLFlux2,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Pipeline,
    Flux2Transformer2DModel,
)
from oracle import randomise
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import (
    Mistral3Config,
    Mistral3ForConditionalGeneration,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from nodes.models.encoders.tekken import PATTERN
from nodes.models.family import find
from nodes.models.flux2.text import TextEncoder
from nodes.models.load import load_autoencoder, load_text_encoder, load_transformer

WORDS = """A hermit crab uses an empty soda can as its shell on a sunlit beach. You are an AI that reasons about image
descriptions. You give structured responses focusing on object relationships and actions. Grüße 42 山中有一座
turn it into an ink drawing of two cats and three dogs; put the second thing behind the first! Красная площадь"""
SPECIAL = [
    "<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]",
    "[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]",
]  # fmt: skip
MISTRAL_CHAT = (
    "{{- bos_token }}{%- for m in messages %}{%- if m['role'] == 'system' %}"
    "{{- '[SYSTEM_PROMPT]' + m['content'][0]['text'] + '[/SYSTEM_PROMPT]' }}{%- else %}{{- '[INST]' }}"
    "{%- for b in m['content'] %}{{- b['text'] if b['type'] == 'text' else '[IMG]' }}{%- endfor %}{{- '[/INST]' }}"
    "{%- endif %}{%- endfor %}"
)
QWEN_CHAT = (
    "{%- for m in messages %}{{- '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\n\n</think>\n\n' }}{%- endif %}"
    "{%- endif %}"
)
KLEIN_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"]
SCHEDULER = {"shift": 3.0, "use_dynamic_shifting": True}


@dataclass
class Pair:
    """The same weights twice: diffusers' pipeline, and our parts loaded from the folder it saved."""

    pipe: Any
    folder: Path
    net: Any
    text: TextEncoder
    vae: Any


def words(special: list[str], size: int) -> Tokenizer:
    """A byte-level tokenizer that divides texts as Mistral's does."""
    inner = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(PATTERN), behavior="isolated")
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in special],
    )  # fmt: skip
    inner.train_from_iterator(WORDS.splitlines(), trainer)
    return inner


def mistral_tokenizer() -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=words(SPECIAL, 420), bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>",
        padding_side="left", model_max_length=131072, chat_template=MISTRAL_CHAT,
    )  # fmt: skip


def klein_tokenizer() -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=words(KLEIN_SPECIAL, 400), eos_token="<|im_end|>", pad_token="<|endoftext|>",
        padding_side="right", model_max_length=131072, chat_template=QWEN_CHAT,
    )  # fmt: skip


def mistral(seed: int, width: int, size: int) -> Mistral3ForConditionalGeneration:
    """All layers that are read and one or two more, an eye, and an output layer of its own."""
    r = random.Random(seed)
    text = {
        "model_type": "mistral", "vocab_size": size, "hidden_size": width, "intermediate_size": 48,
        "num_hidden_layers": r.choice([31, 32]), "num_attention_heads": 4, "num_key_value_heads": r.choice([1, 2]),
        "head_dim": r.choice([12, 20]), "rms_norm_eps": 1e-5, "rope_theta": 1e9, "max_position_embeddings": 4096,
        "sliding_window": None, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 11, "tie_word_embeddings": False,
    }  # fmt: skip
    eye = {
        "model_type": "pixtral", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "head_dim": 16,
        "intermediate_size": 48, "image_size": 112, "patch_size": 14, "num_channels": 3, "rope_theta": 10000.0,
        "hidden_act": "silu",
    }  # fmt: skip
    config = Mistral3Config(
        text_config=text, vision_config=eye, image_token_index=10, spatial_merge_size=2,
        multimodal_projector_bias=False, vision_feature_layer=-1, projector_hidden_act="gelu",
        tie_word_embeddings=False,
    )  # fmt: skip
    model = randomise(Mistral3ForConditionalGeneration(config), seed)
    model.generation_config.update(pad_token_id=11, eos_token_id=2, bos_token_id=1)
    return model


def qwen3(seed: int, width: int, size: int) -> Qwen3ForCausalLM:
    config = Qwen3Config(
        vocab_size=size, hidden_size=width, intermediate_size=48, num_hidden_layers=28, num_attention_heads=4,
        num_key_value_heads=2, head_dim=12, rms_norm_eps=1e-6, rope_theta=1e6, max_position_embeddings=4096,
        tie_word_embeddings=True,
    )  # fmt: skip
    return randomise(Qwen3ForCausalLM(config), seed)


def transformer(seed: int, text: int, latent: int, guidance: bool, wide: bool = False) -> Flux2Transformer2DModel:
    """A tiny transformer; depths, heads and axes are drawn from the seed, `wide` has the real head."""
    r = random.Random(seed * 7919 + 3)
    axes = (32, 32, 32, 32) if wide else r.choice([(8, 8, 8, 8), (4, 4, 4, 4)])
    depths = (1, 1) if wide else (r.choice([1, 2]), r.choice([1, 2, 3]))
    model = Flux2Transformer2DModel(
        in_channels=4 * latent, num_layers=depths[0], num_single_layers=depths[1], attention_head_dim=sum(axes),
        num_attention_heads=r.choice([2, 3]), joint_attention_dim=3 * text, axes_dims_rope=axes,
        guidance_embeds=guidance,
    )  # fmt: skip
    return randomise(model, seed)


def autoencoder(seed: int, latent: int = 8, small_decoder: bool = False) -> AutoencoderKLFlux2:
    """Narrow, with statistics that are not 0 and 1."""
    model = AutoencoderKLFlux2(
        block_out_channels=(32, 32, 64, 64), layers_per_block=1, latent_channels=latent, norm_num_groups=32,
        sample_size=64, decoder_block_out_channels=(32, 32, 32, 64) if small_decoder else None,
    )  # fmt: skip
    randomise(model, seed)
    generator = torch.Generator().manual_seed(seed + 3)
    model.bn.running_mean.copy_(0.3 * torch.randn(4 * latent, generator=generator))
    model.bn.running_var.copy_(0.5 + torch.rand(4 * latent, generator=generator))
    model.bn.num_batches_tracked.fill_(7)
    return model


def dev_pair(folder: Path, seed: int) -> Pair:
    """FLUX.2-dev: build diffusers' pipeline, save it, and load ours from the folder."""
    r = random.Random(seed)
    tokenizer, width, latent = mistral_tokenizer(), r.choice([32, 40]), r.choice([8, 16])
    pipe = Flux2Pipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(**SCHEDULER), vae=autoencoder(seed, latent),
        text_encoder=mistral(seed, width, len(tokenizer)), tokenizer=tokenizer,
        transformer=transformer(seed, width, latent, True),
    )  # fmt: skip
    return saved(pipe, folder)


def klein_pair(folder: Path, seed: int, distilled: bool) -> Pair:
    """FLUX.2-klein, with Qwen3 and without guidance."""
    tokenizer, width = klein_tokenizer(), 32
    pipe = Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(**SCHEDULER), vae=autoencoder(seed),
        text_encoder=qwen3(seed, width, len(tokenizer)), tokenizer=tokenizer,
        transformer=transformer(seed, width, 8, False), is_distilled=distilled,
    )  # fmt: skip
    return saved(pipe, folder)


def saved(pipe: Any, folder: Path) -> Pair:
    pipe.set_progress_bar_config(disable=True)
    pipe.save_pretrained(folder)
    pipe.transformer.save_pretrained(folder / "transformer", max_shard_size="200KB")
    (folder / "transformer" / "diffusion_pytorch_model.safetensors").unlink(missing_ok=True)
    return Pair(pipe, folder, *ours(folder))


def ours(folder: Path, dtype: torch.dtype = torch.float32) -> tuple[Any, TextEncoder, Any]:
    """Our transformer, text encoder and autoencoder from a pipeline folder."""
    found = find(folder)
    text: Any = load_text_encoder(found.family, {"language": found.parts["language"]}, dtype)
    return load_transformer(found, dtype), text, load_autoencoder(found.parts["vae"], dtype)


def whole_encoder(folder: Path) -> TextEncoder:
    """Our text encoder with all it needs to write."""
    found = find(folder)
    text: Any = load_text_encoder(found.family, {"language": found.parts["language"]}, torch.float32, reach=-1)
    return text


def text_config(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "text_encoder" / "config.json").read_text())
    return found


def draw(*shape: int, seed: int = 5) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
