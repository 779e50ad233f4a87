"""LoRAs of a tiny Flux.1 in the spellings that trainers write, from one set of matrices under the original names.

A LoRA is {module: (down, up)} and what W becomes is W + alpha / rank · up · down. Spellings are written out here a
second time, so that a mistake in the code under test does not cancel out.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import torch
from torch import Tensor

from nodes.models.flux1.config import Config

from . import checkpoints as made

Matrices = dict[str, tuple[Tensor, Tensor]]
Written = tuple[dict[str, Tensor], dict[str, str]]
RANK, ALPHA = 4, 6.0


def matrices(state: made.State, seed: int = 0, only: Callable[[str], bool] = lambda name: True) -> Matrices:
    """down and up for every matrix in a state whose module `only` takes."""
    g = torch.Generator().manual_seed(seed)
    found: Matrices = {}
    for name, tensor in state.items():
        module = name.removesuffix(".weight")
        if tensor.ndim == 2 and only(module):
            rows, columns = tensor.shape
            found[module] = (
                torch.randn(RANK, columns, generator=g) * columns**-0.5,
                torch.randn(rows, RANK, generator=g) * 0.3,
            )
    return found


def merged(state: made.State, lora: Matrices, scale: float) -> made.State:
    """The weights with the product added: the oracle."""
    return state | {f"{m}.weight": state[f"{m}.weight"] + scale * (up @ down) for m, (down, up) in lora.items()}


def diffusers_halves(lora: Matrices, config: Config) -> Matrices:
    """The same under diffusers' names: where a matrix is cut by rows, up is cut and down is in each of the parts."""
    found: Matrices = {}
    for module, (down, up) in lora.items():
        for name, part in made.flux_to_diffusers({f"{module}.weight": up}, config.width).items():
            found[name.removesuffix(".weight")] = (down, part)
    return found


def peft(lora: Matrices, config: Config) -> Written:
    """diffusers: alpha in the header, or the rank."""
    halves = diffusers_halves(lora, config)
    told = json.dumps({"transformer.r": RANK, "transformer.lora_alpha": ALPHA})
    return _named(halves, "transformer.", ".lora_A.weight", ".lora_B.weight"), {"lora_adapter_metadata": told}


def peft_with_alphas(lora: Matrices, config: Config) -> Written:
    halves = diffusers_halves(lora, config)
    alphas = {f"transformer.{name}.alpha": torch.tensor(ALPHA) for name in halves}
    return _named(halves, "transformer.", ".lora_A.weight", ".lora_B.weight") | alphas, {}


def original(lora: Matrices, config: Config) -> Written:
    """Black Forest Labs' names, bare; alpha is what makes the scale."""
    alphas = {f"{name}.alpha": torch.tensor([ALPHA]) for name in lora}
    return _named(lora, "", ".lora_A.weight", ".lora_B.weight") | alphas, {}


def comfyui(lora: Matrices, config: Config) -> Written:
    alphas = {f"diffusion_model.{name}.alpha": torch.tensor(ALPHA) for name in lora}
    return _named(lora, "diffusion_model.", ".lora_down.weight", ".lora_up.weight") | alphas, {}


def fal(lora: Matrices, config: Config) -> Written:
    alphas = {f"base_model.model.{name}.alpha": torch.tensor(ALPHA) for name in lora}
    return _named(lora, "base_model.model.", ".lora_A.weight", ".lora_B.weight") | alphas, {}


def kohya(lora: Matrices, config: Config) -> Written:
    flat = {name.replace(".", "_"): halves for name, halves in lora.items()}
    alphas = {f"lora_unet_{name}.alpha": torch.tensor(ALPHA, dtype=torch.float16) for name in flat}
    return _named(flat, "lora_unet_", ".lora_down.weight", ".lora_up.weight") | alphas, {}


def onetrainer(lora: Matrices, config: Config) -> Written:
    flat = {name.replace(".", "_"): halves for name, halves in diffusers_halves(lora, config).items()}
    alphas = {f"lora_transformer_{name}.alpha": torch.tensor(ALPHA) for name in flat}
    return _named(flat, "lora_transformer_", ".lora_down.weight", ".lora_up.weight") | alphas, {}


def lycoris(lora: Matrices, config: Config) -> Written:
    flat = {name.replace(".", "_"): halves for name, halves in diffusers_halves(lora, config).items()}
    alphas = {f"lycoris_{name}.alpha": torch.tensor(ALPHA) for name in flat}
    return _named(flat, "lycoris_", ".lora_down.weight", ".lora_up.weight") | alphas, {}


SPELLINGS = (peft, peft_with_alphas, original, comfyui, fal, kohya, onetrainer, lycoris)


def _named(lora: Matrices, prefix: str, down: str, up: str) -> dict[str, Tensor]:
    written = {}
    for name, (one, other) in lora.items():
        written[f"{prefix}{name}{down}"], written[f"{prefix}{name}{up}"] = one.clone(), other.contiguous().clone()
    return written
