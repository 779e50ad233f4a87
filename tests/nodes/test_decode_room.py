"""Decoding where memory does not hold the whole of it."""

from __future__ import annotations

from pathlib import Path

import torch
from workbench import DEV, Bench

from graph_runtime.settings import Settings
from graph_runtime.worker import Worker
from nodes.models.autoencoders.kl import Config
from nodes.models.autoencoders.tiles import largest

STEPS = {
    "load": ("load_checkpoint", {"file": DEV}),
    "empty": ("empty_latent", {"model": "@load.model", "width": 256, "height": 192}),
    "whole": ("decode", {"latent": "@empty.latent", "vae": "@load.vae"}),
    "tiles": ("decode_tiled", {"latent": "@empty.latent", "vae": "@load.vae", "tile": 128}),
}


def test_a_picture_that_memory_does_not_hold_is_decoded_in_tiles(models: Path, tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path, model_dirs=(models,), custom_nodes_dirs=(), device="cpu", threads=1, host_memory=3_000_000
    )
    ran = Bench(Worker(settings), tmp_path).good(STEPS, "whole", "tiles")
    assert "decoded in tiles of 128 pixels" in ran.logs
    assert torch.equal(ran.one("whole").pixels, ran.one("tiles").pixels)


def test_where_there_is_memory_it_is_decoded_at_once(bench: Bench) -> None:
    assert "tiles" not in bench.good(STEPS, "whole").logs


def test_what_decoding_takes_is_what_was_counted() -> None:
    """shared figures: 1.5 GiB for a megapixel in bfloat16, 6 GiB for four."""
    assert Config().decode_bytes(1024 * 1024, 2) == 3 << 29
    assert Config().decode_bytes(2048 * 2048, 2) == 6 << 30


def test_the_largest_tile_that_fits_is_taken() -> None:
    found = [largest(most.__ge__, 1024) for most in (5000, 1024, 700, 300, 1)]
    assert found == [1024, 1024, 512, 256, 128]
