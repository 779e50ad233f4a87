"""Loading never holds a second copy of a model: the most memory it takes is what the weights take in the end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

ROOT = Path(__file__).parents[4]
ROWS, COLUMNS, COUNT = 1024, 4096, 12
AT_ONCE = 48 << 20  # bytes beyond the weights: what four readers convert at a time, and what allocators keep

PROGRAM = """
import json, sys, threading
from pathlib import Path
import torch
from torch import nn
from nodes.models.weights.fill import fill
from nodes.models.weights.header import read_header
from nodes.models.weights.pieces import same_names
from nodes.models.weights.place import nbytes
from nodes.models.weights.storage import pack_linears

torch.set_num_threads(1)
path, rows, columns, count = Path(sys.argv[1]), *map(int, sys.argv[2:5])


def held(name):
    return int(Path("/proc/self/status").read_text().split(name + ":")[1].split()[0]) * 1024


def loaded(storage, dtype):
    with torch.device("meta"):
        module = nn.ModuleList(nn.Linear(columns, rows, bias=False) for _ in range(count))
    header = read_header(path)
    pack_linears(module, header, same_names(header), storage)
    fill(module, header, same_names(header), dtype)
    return module


found = {}
for storage, dtype in (("unpacked", torch.bfloat16), ("unpacked", torch.float32), ("int8", torch.bfloat16)):
    Path("/proc/self/clear_refs").write_text("5")
    before = held("VmRSS")
    module = loaded(storage, dtype)
    found[f"{storage} {dtype}"] = held("VmHWM") - before, nbytes(module)
    del module
print(json.dumps(found))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells and resets a process's peak")
def test_the_most_memory_is_that_of_the_weights_and_a_little(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_file({f"{i}.weight": torch.randn(ROWS, COLUMNS).bfloat16() for i in range(COUNT)}, path)
    command = [sys.executable, "-c", PROGRAM, str(path), *map(str, (ROWS, COLUMNS, COUNT))]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    size = path.stat().st_size
    peaks = json.loads(done.stdout)
    assert [weights for _, weights in peaks.values()] == [2 * ROWS * COLUMNS * COUNT, 4 * ROWS * COLUMNS * COUNT,
                                                          (COLUMNS + 4) * ROWS * COUNT]  # fmt: skip
    for peak, weights in peaks.values():
        assert peak < weights + AT_ONCE < max(size, weights) + (256 << 20)
