from __future__ import annotations

from pathlib import Path

from graph_runtime.disk_space import DiskSpace, free_bytes


def test_the_ballast_goes_when_the_disk_is_full_and_comes_back_with_the_room(tmp_path: Path) -> None:
    free = [1000]
    disk = DiskSpace([tmp_path], ballast=100, reserve=500, free=lambda folder: free[0])
    assert disk.path.stat().st_size == 100 and not disk.short()
    free[0] = 500
    assert not disk.short()
    free[0] = 499
    assert disk.short()
    free[0] = 599
    assert disk.short(), "a little more room is not yet enough, or it would come and go"
    free[0] = 600
    assert not disk.short()
    assert disk.release() and not disk.path.exists()
    assert not disk.release(), "it can be given up once"
    free[0] = 599
    assert disk.short()
    free[0] = 600
    assert not disk.short() and disk.path.exists()


def test_every_disk_counts(tmp_path: Path) -> None:
    free = {tmp_path / "a": 1000, tmp_path / "b": 10}
    (tmp_path / "a").mkdir()
    disk = DiskSpace(list(free), ballast=0, reserve=100, free=free.__getitem__)
    assert disk.short()
    free[tmp_path / "b"] = 100
    assert not disk.short()


def test_a_folder_that_is_not_there_yet_is_on_the_disk_of_the_one_above(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "a" / "b") > 0
