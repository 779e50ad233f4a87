from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from nodes.models.encoders import t5
from nodes.models.family import Found, detect, find, inspect
from nodes.models.flux1.config import Config
from nodes.models.flux1.transformer import velocity
from nodes.models.layers.packed import PackedLinear
from nodes.models.load import load_encoder, load_transformer, outline
from nodes.models.weights.blocks import BLOCKS
from nodes.models.weights.packing import FP8, METHODS, PACKINGS
from nodes.models.weights.place import Placed, nbytes
from nodes.models.weights.storage import STORAGES, cost

from .. import checkpoints as made
from ..gguf_files import save_blocks

# Blocks of K have 256 numbers, and so have the rows of every matrix here.
WIDE = Config.tiny(width=256, heads=2, axes=(16, 56, 56), double_blocks=1, single_blocks=1, text_width=256)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gguf")


def gguf_file(folder: Path, kind: str) -> Path:
    path = folder / f"{kind}.gguf"
    return path if path.exists() else save_blocks(path, made.flux_state(WIDE), kind)


def packed(module: nn.Module) -> Iterator[tuple[str, PackedLinear]]:
    return ((name, one) for name, one in module.named_modules() if isinstance(one, PackedLinear))


def painted(net: nn.Module, config: Config = WIDE, dtype: torch.dtype = torch.float32) -> Tensor:
    """What a step gives."""
    g = torch.Generator().manual_seed(0)
    text = torch.randn(1, 5, config.text_width, generator=g) * 0.1
    pooled = torch.randn(1, config.pooled_width, generator=g)
    x = torch.randn(1, 16, 4, 4, generator=g)
    v = velocity(net, {"text": text, "pooled": pooled}, x.shape, [0.7], dtype=dtype)  # type: ignore[arg-type]
    return v(x, 0.7)


@pytest.mark.parametrize("kind", sorted(BLOCKS))
def test_a_packed_transformer_paints_what_its_unpacked_numbers_paint(kind: str, files: Path) -> None:
    """Every type GGUF has, bit for bit: the same numbers, only made later."""
    found = detect(gguf_file(files, kind))
    assert found.config == WIDE
    small, large = load_transformer(found, torch.float32, storage="packed"), load_transformer(found, torch.float32)
    names = {name for name, _ in packed(small)}
    assert {"double_blocks.0.img_attn.qkv", "single_blocks.0.linear2", "double_blocks.0.txt_mod.lin"} <= names
    assert not any(name.startswith(("img_in", "final_layer", "txt_in")) for name in names)
    for name, one in packed(small):
        assert one.packing == kind
        assert torch.equal(one.unpacked(torch.float32), large.get_submodule(name).weight)  # type: ignore[arg-type]
    assert torch.equal(painted(small), painted(large))
    assert painted(large).abs().max() > 0.1
    assert nbytes(small) < nbytes(large) * 0.6


@pytest.mark.parametrize("storage", STORAGES)
def test_what_a_model_will_take_is_known_before_it_is_loaded(storage: str, files: Path) -> None:
    found = detect(gguf_file(files, "Q4_K"))
    for dtype in (torch.float32, torch.bfloat16):
        told = cost(outline(found, storage)[0], dtype)
        loaded = load_transformer(found, dtype, storage=storage)
        assert told.nbytes == nbytes(loaded) == Placed(loaded).nbytes
        assert told.plain == nbytes(load_transformer(found, dtype))
        assert sum(told.packed.values()) == len(list(packed(loaded)))


@pytest.fixture(scope="module")
def plain(files: Path) -> Found:
    return detect(made.save(files / "plain.safetensors", made.flux_state()), config=made.AXES)


@pytest.mark.parametrize("method", METHODS)
def test_plain_weights_are_packed_while_they_are_read(method: str, plain: Found) -> None:
    """Each matrix is what packing the whole of it gives, whatever parts it was read in; what is kept is exact."""
    net, truth = load_transformer(plain, torch.float32, storage=method), made.flux_state()
    pack = PACKINGS[method].pack
    assert pack is not None
    for name, one in packed(net):
        assert torch.equal(one.weight.view(torch.uint8), pack(truth[f"{name}.weight"])), name
    kept = {name for name, one in net.named_modules() if type(one) is nn.Linear}
    ends = {"img_in", "txt_in", "time_in.in_layer", "guidance_in.out_layer", "final_layer.linear", "vector_in.in_layer"}
    assert ends <= kept and not any("blocks" in name for name in kept)
    for name, parameter in net.named_parameters():
        assert torch.equal(parameter, truth[name])


@pytest.mark.parametrize("method", METHODS)
def test_a_transformer_in_parts_is_packed_as_it_is_whole(method: str, tmp_path: Path) -> None:
    """diffusers keeps q, k and v apart: rows are packed by themselves, so joining them packed changes nothing."""
    state = made.flux_state()
    whole = detect(made.save(tmp_path / "whole.safetensors", state), config=made.AXES)
    parts = detect(made.save(tmp_path / "parts.safetensors", made.flux_to_diffusers(state)), config=made.AXES)
    one, other = (load_transformer(found, torch.float32, storage=method) for found in (whole, parts))
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


@pytest.mark.parametrize("method", sorted({*METHODS} - {*FP8}))
def test_scaled_fp8_is_unscaled_before_it_is_packed(method: str, tmp_path: Path) -> None:
    stored, truth = made.scaled_fp8(made.flux_state())
    net = load_transformer(
        detect(made.save(tmp_path / "m.safetensors", stored), config=made.AXES), torch.float32, storage=method
    )
    pack = PACKINGS[method].pack
    assert pack is not None
    for name, one in packed(net):
        assert torch.equal(one.weight.view(torch.uint8), pack(truth[f"{name}.weight"])), name


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("method", FP8)
def test_fp8_in_a_file_stays_the_numbers_it_is(method: str, scaled: bool, tmp_path: Path) -> None:
    """With the file's scale in each row, whether q, k and v are apart in it or not; nothing is rounded again."""
    state = made.flux_to_diffusers(made.flux_state())
    plain = {name: t.to(made.E4) if made.is_linear(name, t) else t for name, t in state.items()}
    stored, truth = made.scaled_fp8(state) if scaled else (plain, {name: t.float() for name, t in plain.items()})
    files = made.save(tmp_path / "stored.safetensors", stored), made.save(tmp_path / "truth.safetensors", truth)
    one, other = (detect(path, config=made.AXES) for path in files)
    net, wanted = load_transformer(one, torch.float32, storage=method), load_transformer(other, torch.float32)
    assert len(list(packed(net))) > 10
    for name, linear in packed(net):
        ours, theirs = linear.unpacked(torch.float32), wanted.get_submodule(name).weight
        assert torch.allclose(ours, theirs, rtol=2e-7, atol=0), name  # type: ignore[arg-type]


def test_pieces_of_different_types_are_not_packed_as_one(tmp_path: Path) -> None:
    """A file in diffusers' names may keep v finer than q and k: the joined matrix is then unpacked."""
    state = made.flux_to_diffusers(made.flux_state(WIDE))
    path = save_blocks(
        tmp_path / "mixed.gguf", state, "Q4_K", other=lambda name: "Q6_K" if ".to_v." in name else "Q4_K"
    )
    found = detect(path)
    net, truth = load_transformer(found, torch.float32, storage="packed"), load_transformer(found, torch.float32)
    names = {name for name, _ in packed(net)}
    assert "double_blocks.0.img_attn.qkv" not in names and "double_blocks.0.img_attn.proj" in names
    assert torch.equal(painted(net), painted(truth))


@pytest.mark.parametrize("kind", ["Q8_0", "Q5_1", "IQ4_NL"])
def test_t5_stays_packed_too(kind: str, tmp_path: Path) -> None:
    """From llama.cpp's names; in float16 its widest layers are unpacked, as they must be wider."""
    config = {**made.T5, "d_model": 64, "d_kv": 32, "d_ff": 96}
    path = save_blocks(
        tmp_path / "t5.gguf", made.drawn(t5.build(config)), kind, named=made.t5_gguf_name, arch="t5encoder"
    )
    part = find(path).parts["t5"]
    small, large = load_encoder(part, torch.float32, storage="packed"), load_encoder(part, torch.float32)
    assert len(list(packed(small))) > 5
    ids = torch.arange(12)[None]
    assert torch.equal(t5.encode(small, ids), t5.encode(large, ids))  # type: ignore[arg-type]
    half = load_encoder(part, torch.float16, storage="packed")
    assert not any(name.endswith(".wo") for name, _ in packed(half))
    assert all(p.dtype == torch.float32 for name, p in half.named_parameters() if name.endswith(".wo.weight"))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_packed_linear_computes_in_the_dtype_of_what_it_is_given(dtype: torch.dtype) -> None:
    g = torch.Generator().manual_seed(0)
    weight, x = torch.randn(12, 64, generator=g), torch.randn(3, 5, 64, generator=g)
    one, pack = PackedLinear(64, 12, "int8", bias=True), PACKINGS["int8"].pack
    assert pack is not None and one.bias is not None
    one.weight.copy_(pack(weight).view(torch.int8))
    nn.init.normal_(one.bias)
    with torch.no_grad():
        wanted = nn.functional.linear(x.to(dtype), one.unpacked(torch.float32).to(dtype), one.bias.to(dtype))
        assert torch.equal(one.to(dtype)(x.to(dtype)), wanted)  # its bytes are left as they are


def test_packed_weights_move_and_are_counted(plain: Found) -> None:
    placed = Placed(load_transformer(plain, torch.float32, storage="nf4"))
    before, net = painted(placed.value, made.FLUX), placed.value  # type: ignore[arg-type]
    assert net is not None and placed.nbytes == nbytes(net)
    placed.move("meta")
    assert all(tensor.is_meta for tensor in net.state_dict().values())
    assert before.isfinite().all()


def test_weights_that_no_step_reads_are_named_when_they_are_packed(plain: Found) -> None:
    unpacked, small = (load_transformer(plain, torch.float32, storage=storage) for storage in ("unpacked", "int8"))
    assert set(small.before_loop()) == set(unpacked.before_loop())  # type: ignore[operator]


@pytest.mark.parametrize("kind", ["Q4_K", "Q8_0"])
def test_inspect_says_the_types(kind: str, files: Path) -> None:
    told = inspect(gguf_file(files, kind))["parts"]["transformer"]
    count = sum(
        tensor.ndim == 2 and tensor.shape[1] % BLOCKS[kind][2] == 0 for tensor in made.flux_state(WIDE).values()
    )
    assert (told["dtype"], told["packing"]) == (kind, f"{kind} × {count}")


def test_a_header_is_not_changed_by_packing(plain: Found) -> None:
    before = replace(plain)
    outline(plain, "nf4")
    assert plain == before
