"""LoRAs for Flux.2 in every spelling change the same matrices by the same products."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from graph_runtime.problem import Refused
from nodes.models.flux2 import keys
from nodes.models.flux2.config import Config
from nodes.models.flux2.transformer import Transformer, velocity
from nodes.models.layers.lowrank import attached
from nodes.models.sampling.noise import noise
from nodes.models.weights import lora
from nodes.models.weights.header import read_header
from nodes.models.weights.pieces import Target
from nodes.models.weights.storage import linears

from .. import checkpoints as made
from ..families import EXAMPLES
from . import namings

RANK, ALPHA = 4, 2.0
STATE = EXAMPLES["flux2"].state()
Matrices = dict[str, tuple[Tensor, Tensor]]


def matrices() -> Matrices:
    """down and up for every Linear."""
    g, found = torch.Generator().manual_seed(0), {}
    for name, tensor in STATE.items():
        if tensor.ndim == 2:
            rows, columns = tensor.shape
            down = torch.randn(RANK, columns, generator=g) * columns**-0.5
            found[name.removesuffix(".weight")] = down, torch.randn(rows, RANK, generator=g) * 0.3
    return found


LORA = matrices()


def diffusers(found: Matrices) -> Matrices:
    """The same under diffusers' names: where a matrix is cut by rows, up is cut and down is in each of the parts."""
    return {
        name.removesuffix(".weight"): (down, part)
        for module, (down, up) in found.items()
        for name, part in namings.to_diffusers({f"{module}.weight": up}).items()
    }


def written(
    found: Matrices, prefix: str, down: str, up: str, flat: bool = False, alpha: bool = True
) -> dict[str, Tensor]:
    """With alpha beside each pair; or without, its scale in `down`."""
    out: dict[str, Tensor] = {}
    for name, (one, other) in found.items():
        stem = prefix + (name.replace(".", "_") if flat else name)
        out |= {stem + down: one * (1 if alpha else ALPHA / RANK), stem + up: other.contiguous().clone()}
        out |= {f"{stem}.alpha": torch.tensor(ALPHA)} if alpha else {}
    return out


AB, DOWN_UP = (".lora_A.weight", ".lora_B.weight"), (".lora_down.weight", ".lora_up.weight")
SPELLINGS: dict[str, Callable[[], dict[str, Tensor]]] = {
    "diffusers": lambda: written(diffusers(LORA), "transformer.", *AB, alpha=False),
    "peft": lambda: written(LORA, "base_model.model.", *AB, alpha=False),
    "original": lambda: written(LORA, "diffusion_model.", *AB),  # diffusers 0.42.1 refuses alpha here
    "original, down and up": lambda: written(LORA, "diffusion_model.", *DOWN_UP),
    "kohya": lambda: written(LORA, "lora_unet_", *DOWN_UP, flat=True),
    "kohya, diffusers' names": lambda: written(diffusers(LORA), "lora_unet_", *DOWN_UP, flat=True),
    "bare": lambda: written(LORA, "", *AB, alpha=False),
}


def net_of(state: dict[str, Tensor]) -> Transformer:
    net = Transformer(Config.tiny())
    net.load_state_dict(state)
    return net.eval().requires_grad_(False)


def painted(net: Transformer) -> Tensor:
    g = torch.Generator().manual_seed(3)
    given = {"text": torch.randn(1, 5, 48, generator=g), "reference.0": torch.randn(1, 128, 2, 3, generator=g)}
    x = noise((1, 128, 4, 6), 1)
    return velocity(net, given, x.shape, [0.5])(x, 0.5)


def changes_of(tensors: dict[str, Tensor], path: Path, net: Transformer) -> lora.Changes:
    names = keys.aliases(net.config) | {name: Target(name) for name, _ in linears(net)}
    found = lora.placed(lora.pairs(read_header(made.save(path, tensors))), "transformer", names)
    lora.check(net, found)
    return found


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("strength", [1.0, 0.4])
def test_every_spelling_gives_what_merged_weights_give(strength: float, spelling: str, tmp_path: Path) -> None:
    """The halves of the last modulation among them: diffusers stores them in the other order, and its converter from
    the original names does not swap them (0.42.1)."""
    net = net_of(STATE)
    found = changes_of(SPELLINGS[spelling](), tmp_path / "l.safetensors", net)
    assert not found.left and {target.module for target, _ in found.changes} == LORA.keys()
    scale = strength * ALPHA / RANK
    merged = STATE | {f"{m}.weight": STATE[f"{m}.weight"] + scale * (up @ down) for m, (down, up) in LORA.items()}
    expected, plain = painted(net_of(merged)), painted(net)
    with attached(net, lora.load(found, torch.float32), strength):
        ours = painted(net)
    assert (ours - expected).abs().max() <= 1e-4 * expected.abs().max()
    assert (plain - expected).abs().max() > 0.01 * expected.abs().max()
    assert torch.equal(painted(net), plain)


def test_swapped_halves_count(tmp_path: Path) -> None:
    only = {name: pair for name, pair in LORA.items() if name.startswith("final_layer.adaLN")}
    net = net_of(STATE)
    ours = []
    for i, tensors in enumerate(
        (written(diffusers(only), "transformer.", *AB), written(only, "diffusion_model.", *AB))
    ):
        found = changes_of(tensors, tmp_path / f"{i}.safetensors", net)
        with attached(net, lora.load(found, torch.float32), 1.0):
            ours.append(painted(net))
    assert torch.allclose(ours[0], ours[1], atol=1e-5)
    unswapped = {n: (down, up.roll(len(up) // 2, 0)) for n, (down, up) in only.items()}
    found = changes_of(written(unswapped, "diffusion_model.", *AB), tmp_path / "w.safetensors", net)
    with attached(net, lora.load(found, torch.float32), 1.0):
        assert not torch.allclose(painted(net), ours[0], atol=1e-3)


def test_a_lora_of_another_size_is_refused(tmp_path: Path) -> None:
    wrong = {name: (down, torch.cat((up, up))) for name, (down, up) in LORA.items()}
    with pytest.raises(Refused, match="It was made for another model"):
        changes_of(written(wrong, "diffusion_model.", *AB), tmp_path / "l.safetensors", net_of(STATE))


def test_every_name_of_full_size_dev_finds_its_rows() -> None:
    with torch.device("meta"):
        net = Transformer(Config.dev())
    names = dict(net.named_modules())
    cut: dict[str, list[tuple[int, int]]] = {}
    for target in keys.aliases(net.config).values():
        rows = names[target.module].out_features  # type: ignore[union-attr]
        cut.setdefault(target.module, []).append((target.start, rows if target.stop is None else target.stop))
    assert cut.keys() == {name for name, _ in linears(net)}
    for name, pieces in cut.items():
        ends = [end for _, end in sorted(pieces)]
        assert [start for start, _ in sorted(pieces)] == [0, *ends[:-1]] and ends[-1] == names[name].out_features  # type: ignore[union-attr]
