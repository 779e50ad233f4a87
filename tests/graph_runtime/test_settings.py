from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from graph_runtime.problem import Refused
from graph_runtime.settings import Settings, read_settings


@pytest.fixture(autouse=True)
def nobody_said_anything(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"LATENTLOOM_{name.upper()}", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))


def write(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    return path


def test_a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = write(tmp_path, 'gpu_memory = "1GB"\nhost_memory = "1GB"\nthreads = 1\n')
    monkeypatch.setenv("LATENTLOOM_GPU_MEMORY", "2GB")
    monkeypatch.setenv("LATENTLOOM_HOST_MEMORY", "2GB")
    settings = read_settings({"gpu_memory": "3GB", "host_memory": None}, file)
    assert (settings.gpu_memory, settings.host_memory, settings.threads) == (3 * 10**9, 2 * 10**9, 1)
    assert settings.cache_memory == Settings.model_fields["cache_memory"].default


@pytest.mark.parametrize(("text", "wanted"), [("6GB", 6 * 10**9), ("6GiB", 6 * 2**30), ("0", 0)])
def test_sizes_are_written_as_people_write_them(text: str, wanted: int) -> None:
    assert read_settings({"gpu_memory": text}).gpu_memory == wanted


@pytest.mark.parametrize(("text", "wanted"), [("80%", 0.8), ("80 %", 0.8), ("100%", 1.0), ("0%", 0.0), ("auto", None)])
def test_memory_may_be_a_share_of_all_there_is(text: str, wanted: float | None) -> None:
    settings = read_settings({"host_memory": text})
    assert settings.host_memory == wanted
    assert Settings(**settings.as_json()) == settings


@pytest.mark.parametrize("text", ["120%", "-5%", "much%", "-5", "12 parsecs"])
def test_memory_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="--gpu-memory"):
        read_settings({"gpu_memory": text})


def test_the_folders_follow_the_data_folder(tmp_path: Path) -> None:
    settings = read_settings({"data_dir": tmp_path})
    assert settings.output_dir == tmp_path / "output"
    assert settings.model_dirs == (tmp_path / "models",)
    assert not list(tmp_path.iterdir()), "reading settings made a folder"


def test_several_folders_come_from_the_environment_as_paths_are_listed_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTLOOM_MODEL_DIRS", "/a:/b")
    assert read_settings().model_dirs == (Path("/a"), Path("/b"))


def test_all_wrong_settings_are_named_at_once_each_with_its_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = write(tmp_path, "gpu_memroy = 5\nthreads = -1\n")
    monkeypatch.setenv("LATENTLOOM_DTYPE", "float8")
    with pytest.raises(Refused) as refused:
        read_settings({"device": "tpu", "host_memory": "lots"}, file)
    problems = {problem.place: problem for problem in refused.value.problems}
    assert set(problems) == {
        "--device", "--host-memory", "LATENTLOOM_DTYPE", f"{file}: gpu_memroy", f"{file}: threads",
    }  # fmt: skip
    assert "gpu_memory" in problems[f"{file}: gpu_memroy"].fix
    assert "'lots'" in problems["--host-memory"].what


def test_a_broken_or_missing_file_is_a_problem_with_its_path(tmp_path: Path) -> None:
    for path, code in ((write(tmp_path, "a = = 1"), "bad-toml"), (tmp_path / "none.toml", "no-file")):
        with pytest.raises(Refused) as refused:
            read_settings({}, path)
        assert [(p.code, p.place) for p in refused.value.problems] == [(code, str(path))]


def test_they_cross_to_another_process_whatever_its_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_settings({"gpu_memory": "6GB", "device": "cuda:1"})
    there: dict[str, Any] = settings.as_json()
    monkeypatch.setenv("LATENTLOOM_DEVICE", "cpu")
    monkeypatch.setenv("LATENTLOOM_HOST_MEMORY", "1GB")
    assert Settings(**there) == settings


def test_they_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        read_settings().threads = 3  # type: ignore[misc]
