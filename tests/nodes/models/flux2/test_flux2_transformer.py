"""The Flux.2 transformer by itself: references, positions, what its blocks share, and its files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from graph_runtime.problem import Refused
from nodes.models.family import detect, inspect
from nodes.models.flux2 import keys
from nodes.models.flux2.config import Config
from nodes.models.flux2.defaults import DEV, KLEIN, KLEIN_BASE, defaults, told
from nodes.models.flux2.tokens import image_ids, pack, references_of, text_ids, unpack
from nodes.models.flux2.transformer import Transformer, velocity
from nodes.models.load import load_transformer
from nodes.models.sampling.noise import noise

from .. import checkpoints as made
from ..families import EXAMPLES
from ..headers import header
from . import namings


@pytest.fixture(scope="module")
def net() -> Transformer:
    torch.manual_seed(0)
    return Transformer(Config.tiny()).eval().requires_grad_(False)


def conditioning(prompts: int = 1, *sizes: tuple[int, int], length: int = 5) -> dict[str, Tensor]:
    """A text, and a reference of each size."""
    generator = torch.Generator().manual_seed(3)
    found = {"text": torch.randn(prompts, length, 48, generator=generator)}
    shown = {f"reference.{i}": torch.randn(prompts, 128, *size, generator=generator) for i, size in enumerate(sizes)}
    return found | shown


def asked(net: Transformer, given: dict[str, Tensor], batch: int = 1, guidance: float = 4.0) -> Tensor:
    x = noise((batch, 128, 4, 6), 1)
    found: Tensor = velocity(net, given, x.shape, [0.5], guidance)(x, 0.5)
    return found


def test_a_reference_counts_and_so_does_its_place_in_the_order(net: Transformer) -> None:
    given = conditioning(1, (2, 3), (2, 3))
    swapped = given | {"reference.0": given["reference.1"], "reference.1": given["reference.0"]}
    alone = {name: given[name] for name in ("text", "reference.0")}
    results = [asked(net, one) for one in ({"text": given["text"]}, alone, given, swapped)]
    for i, one in enumerate(results):
        assert one.shape == (1, 128, 4, 6)
        assert all(not torch.allclose(one, other, atol=1e-4) for other in results[:i])


def test_references_go_by_their_numbers_not_by_their_names() -> None:
    given = {f"reference.{i}": torch.full((1,), float(i)) for i in (10, 2, 0)} | {"text": torch.zeros(1)}
    assert [int(one) for one in references_of(given)] == [0, 2, 10]


def test_each_text_of_a_batch_may_have_references_of_its_own(net: Transformer) -> None:
    both = conditioning(2, (2, 3), (3, 1))
    together = asked(net, both, batch=4)
    x = noise((4, 128, 4, 6), 1)
    for image, prompt in enumerate((0, 0, 1, 1)):
        one = {name: tensor[prompt : prompt + 1] for name, tensor in both.items()}
        alone = velocity(net, one, (1, 128, 4, 6), [0.5])(x[image : image + 1], 0.5)
        assert torch.allclose(together[image : image + 1], alone, atol=1e-5)


def test_one_reference_is_seen_by_every_picture_of_a_batch(net: Transformer) -> None:
    one, three = asked(net, conditioning(1, (2, 3)), batch=3), conditioning(1, (2, 3))
    expanded = {name: tensor.expand(3, *tensor.shape[1:]) for name, tensor in three.items()}
    assert torch.allclose(one, asked(net, expanded, batch=3), atol=1e-5)


def test_a_conditioning_may_bring_its_own_guidance(net: Transformer) -> None:
    own = conditioning(2) | {"guidance": torch.tensor([7.0, 1.0])}
    together = asked(net, own, batch=2)
    for i, strength in enumerate((7.0, 1.0)):
        one = {"text": own["text"][i : i + 1]}
        x = noise((2, 128, 4, 6), 1)[i : i + 1]
        assert torch.allclose(together[i], velocity(net, one, x.shape, [0.5], strength)(x, 0.5)[0], atol=1e-5)


def test_klein_is_conditioned_on_time_alone() -> None:
    torch.manual_seed(0)
    net = Transformer(Config.tiny(guidance=False)).requires_grad_(False)
    one, other = (asked(net, conditioning(), guidance=g) for g in (0.0, 9.0))
    assert torch.equal(one, other)
    assert not any(name.startswith("guidance_in.") for name in net.state_dict())


def test_every_parameter_can_be_trained() -> None:
    torch.manual_seed(0)
    net = Transformer(Config.tiny())
    modulation = net.modulation(net.vector(torch.rand(2), torch.ones(2)))
    angles = net.angles(torch.cat((text_ids(5), image_ids(2, 3, 0), image_ids(1, 2, 10))))
    references = net.img_in(torch.randn(2, 2, 128))
    text = net.txt_in(torch.randn(2, 5, 48))
    net(torch.randn(2, 6, 128), text, modulation, angles, references).square().mean().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_float16_never_leaves_its_range() -> None:
    torch.manual_seed(0)
    net = Transformer(Config.tiny()).half().requires_grad_(False)
    net.double_blocks[0].txt_mlp[2].weight.fill_(2000)
    net.single_blocks[0].linear2.weight.fill_(2000)
    assert asked(net, conditioning()).isfinite().all()


def test_packing_and_positions() -> None:
    latent = noise((2, 8, 3, 5), 1)
    assert torch.equal(unpack(pack(latent), 3, 5), latent) and torch.equal(pack(latent)[1, 7], latent[1, :, 1, 2])
    assert image_ids(2, 2, 20).tolist() == [[20, 0, 0, 0], [20, 0, 1, 0], [20, 1, 0, 0], [20, 1, 1, 0]]
    assert text_ids(3).tolist() == [[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 2]]


def test_a_reference_of_another_model_is_refused(net: Transformer) -> None:
    with pytest.raises(Refused, match=r"references are \[\[1, 16, 2, 2\]\], this model takes 128 channels"):
        asked(net, conditioning() | {"reference.0": torch.zeros(1, 16, 2, 2)})


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"width": 100, "heads": 3}, "100 does not divide into 3 heads"),
        ({"axes": (32, 32, 32, 34)}, "sum to 130, a head has 128"),
        ({"axes": (64, 64)}, "four even numbers"),
        ({"text_width": 100}, "three layers side by side"),
        ({"in_channels": 64}, "its input has 64 features and its output 128"),
    ],
)
def test_impossible_sizes(sizes: dict[str, object], said: str) -> None:
    with pytest.raises(Refused, match=said):
        Config(**sizes)  # type: ignore[arg-type]


def test_what_a_model_is_best_used_with_follows_from_its_sizes_and_its_folder() -> None:
    assert (defaults(Config.dev()), defaults(Config.klein_4b())) == (DEV, KLEIN)
    assert (DEV.steps, DEV.guidance, KLEIN.steps, KLEIN.true_cfg) == (50, 4.0, 4, 1.0)
    assert told(KLEIN, {"is_distilled": False}) == KLEIN_BASE and told(KLEIN, {"is_distilled": True}) == KLEIN
    assert told(KLEIN, {}) == KLEIN and told(DEV, {"is_distilled": False}) == DEV
    assert KLEIN_BASE.true_cfg == 4.0


def holds(module: torch.nn.Module, truth: dict[str, Tensor]) -> None:
    found = dict(module.named_parameters())
    assert found.keys() == truth.keys()
    assert [name for name, wanted in truth.items() if not torch.equal(found[name], wanted)] == []


STATE = EXAMPLES["flux2"].state()


def test_norms_may_be_called_weight_or_scale(tmp_path: Path) -> None:
    renamed = {n.replace("_norm.scale", "_norm.weight"): t for n, t in STATE.items()}
    assert renamed.keys() != STATE.keys()
    holds(load_transformer(detect(made.save(tmp_path / "m.safetensors", renamed)), torch.float32), STATE)


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_mixed_fp8_is_multiplied_by_its_scales(prefix: str, tmp_path: Path) -> None:
    """As ComfyUI repackages dev: only feed-forward and single blocks in fp8. diffusers 0.42.1 reads it without the
    scales, and its output is off by more than its size."""
    stored, truth = {}, {}
    for name, tensor in STATE.items():
        if any(part in name for part in (".img_mlp.", ".txt_mlp.", ".linear1.", ".linear2.")):
            scale = tensor.abs().max() / 448
            stored[name] = (tensor / scale).to(made.E4)
            stored[name.removesuffix("weight") + "weight_scale"] = scale.reshape(())
            stored[name.removesuffix("weight") + "input_scale"] = torch.tensor(0.02)
            truth[name] = stored[name].float() * scale
        else:
            stored[name] = tensor.bfloat16()
            truth[name] = stored[name].float()
    layers = {name.removesuffix(".weight_scale"): {"format": "float8_e4m3fn"} for name in stored if "weight_s" in name}
    metadata = {"_quantization_metadata": json.dumps({"format_version": "1.0", "layers": layers})}
    path = made.save(tmp_path / "m.safetensors", made.under(prefix, stored), metadata)
    holds(load_transformer(detect(path), torch.float32), truth)
    assert inspect(path)["parts"]["transformer"]["packing"] == "scaled fp8"


def test_flux1_and_flux2_in_gguf_are_told_apart(tmp_path: Path) -> None:
    """Both say that their architecture is "flux"."""
    one, _ = made.save_gguf(tmp_path / "1.gguf", made.flux_state(), "Q8_0", arch="flux")
    two, _ = made.save_gguf(tmp_path / "2.gguf", STATE, "Q8_0", arch="flux")
    assert detect(one, made.AXES).family.name == "flux1" and detect(two).family.name == "flux2"  # type: ignore[union-attr]


def test_sizes_are_called_by_their_names() -> None:
    for width, name in ((48, "dev"), (7680, "klein-4b"), (12288, "klein-9b")):
        shapes = {n: tuple(t.shape) for n, t in STATE.items()} | {"txt_in.weight": (64, width)}
        part = keys.match(header(shapes))
        assert part is not None and part.variant == name


def test_axes_and_base_of_the_turns_may_be_given() -> None:
    shapes = {n: tuple(t.shape) for n, t in STATE.items()}
    part = keys.match(header(shapes, {"axes_dims_rope": [4, 12, 12, 4], "rope_theta": 500}))
    assert part is not None and (part.config.axes, part.config.theta) == ((4, 12, 12, 4), 500)
    for wrong in ([8, 8, 8], [8, 8, 8, "8"], "8", None):
        part = keys.match(header(shapes, {"axes_dims_rope": wrong, "rope_theta": "2000"}))
        assert part is not None and (part.config.axes, part.config.theta) == ((8, 8, 8, 8), 2000)


def test_halves_of_the_last_modulation_are_swapped(tmp_path: Path) -> None:
    shapes = {n: tuple(t.shape) for n, t in namings.to_diffusers(STATE).items()}
    part = keys.match(header(shapes))
    assert part is not None
    pieces = keys.rename(part)["final_layer.adaLN_modulation.1.weight"]
    assert [(piece.start, piece.stop) for piece in pieces] == [(64, 128), (0, 64)]
