from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from graph_runtime.doctor import Finding, examine
from graph_runtime.settings import Settings
from graph_runtime.workers.inline import InlineWorker

PACKS = Path(__file__).parent / "workers" / "packs"


def findings(folder: Path, **more: Any) -> dict[str, Finding]:
    given = {"data_dir": folder / "data", "custom_nodes_dirs": (PACKS,), "packs": (), "device": "cpu"}
    settings = Settings(**{**given, **more})
    worker = InlineWorker(settings)
    try:
        return {one.name: one for one in examine(settings, worker)}
    finally:
        worker.close()


def test_where_all_is_well_nothing_failed_and_nothing_was_made(tmp_path: Path) -> None:
    found = findings(tmp_path)
    assert [one for one in found.values() if one.state == "failed"] == []
    assert "cpu" in found["device"].what
    assert "torch " in found["libraries"].what
    assert "packs in all" in found["custom nodes"].what
    assert list(tmp_path.iterdir()) == []


def test_a_broken_pack_is_found_with_its_place_and_fix(tmp_path: Path) -> None:
    (tmp_path / "packs" / "bad").mkdir(parents=True)
    (tmp_path / "packs" / "bad" / "__init__.py").write_text("import no_such_library_anywhere")
    found = findings(tmp_path, custom_nodes_dirs=(tmp_path / "packs",))["pack"]
    assert found.state == "failed"
    assert str(tmp_path / "packs" / "bad") in found.what and "no_such_library_anywhere" in found.fix


def test_a_folder_that_is_a_file_or_not_ours_is_found(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    found = findings(tmp_path, output_dir=tmp_path / "taken" / "below")["output folder"]
    assert found.state == "failed" and "output_dir" in found.fix


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_may_not_be_written_is_found(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    assert findings(tmp_path, data_dir=tmp_path / "locked")["data folder"].state == "failed"
