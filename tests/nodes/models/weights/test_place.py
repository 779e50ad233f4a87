from __future__ import annotations

import pytest
import torch
from torch import nn

from nodes.models.weights.place import Placed, device, nbytes, parked


def net() -> nn.Module:
    made = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4))
    made[2].weight = made[0].weight
    return made.requires_grad_(False)


def test_bytes_count_tied_weights_once_and_buffers_too() -> None:
    floats = 16 + 4 + 4 + 4 * 4  # the matrix, two biases, and the norm's weight, bias, mean and variance
    assert nbytes(net()) == 4 * floats + 8
    assert Placed(net()).nbytes == nbytes(net())


def test_a_module_goes_to_a_device_and_comes_back_whole() -> None:
    """`meta` stands for a device here: everything arrives there, tied weights stay one."""
    placed = Placed(net(), keep_host=True)
    before = {name: p.clone() for name, p in placed.value.named_parameters()}
    placed.move("meta")
    assert all(t.is_meta for t in (*placed.value.parameters(), *placed.value.buffers()))
    placed.move("cpu")
    assert all(torch.equal(p, before[name]) for name, p in placed.value.named_parameters())
    assert placed.value[2].weight is placed.value[0].weight and device(placed.value).type == "cpu"


def test_a_move_that_fails_leaves_the_module_where_it_was() -> None:
    placed = Placed(net())
    pointers = [p.data_ptr() for p in placed.value.parameters()]

    class Full(Placed):
        def _at(self, name: str, tensor: torch.Tensor, target: torch.device) -> torch.Tensor:
            if name.startswith("1."):
                raise MemoryError("the device is full")
            return super()._at(name, tensor, target)

    full = Full(placed.value)
    with pytest.raises(MemoryError):
        full.move("meta")
    assert [p.data_ptr() for p in placed.value.parameters()] == pointers


def test_a_closed_model_is_gone() -> None:
    placed = Placed(net())
    placed.close()
    with pytest.raises(RuntimeError):
        placed.move("cpu")


def test_parked_weights_are_away_inside_the_block_only() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    homes = [p.data_ptr() for p in module[0].parameters()]
    with pytest.raises(NotImplementedError), parked(module, ["1.weight", "1.bias"], at="meta") as freed:
        assert freed == 80 and module[1].weight.is_meta and module[1].bias.is_meta
        assert [p.data_ptr() for p in module[0].parameters()] == homes
    with parked(module, ["0.weight"]) as nothing:  # it is there already
        assert nothing == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_parked_weights_come_back_to_a_gpu() -> None:
    module = nn.Linear(4, 4).cuda()
    before = module.weight.detach().cpu()
    with parked(module, ["weight"]):
        assert module.weight.device.type == "cpu" and module.bias.device.type == "cuda"
    assert module.weight.device.type == "cuda" and torch.equal(module.weight.cpu(), before)
