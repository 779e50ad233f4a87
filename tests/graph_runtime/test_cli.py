"""The command line as a user has it: a process with arguments, text on both outputs, and an exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graph_runtime.cli import main

PACKS = Path(__file__).parent / "workers" / "packs"
ROOT = Path(__file__).parents[2]
Cli = Callable[..., subprocess.CompletedProcess[str]]

WORKFLOW = {
    "format": "latentloom",
    "version": 1,
    "steps": {
        "words": {"kind": "faults/slow_text", "title": "Words", "inputs": {"text": "hello"}},
        "keep": {"kind": "faults/save", "inputs": {"text": {"join": ["words", "string"]}, "name": "note"}},
    },
}


@pytest.fixture
def command(tmp_path: Path) -> tuple[list[str], list[str]]:
    """What comes before the name of a command, and what after."""
    config = tmp_path / "config.toml"
    config.write_text(
        f'packs = []\ndevice = "cpu"\ndata_dir = "{tmp_path}/data"\ncustom_nodes_dirs = ["{PACKS}"]\n'
        "cancel_grace = 0.5\nterminate_grace = 0.5\n"
    )
    return [sys.executable, "-m", "graph_runtime"], ["--config", str(config)]


@pytest.fixture
def cli(command: Any, tmp_path: Path) -> Cli:
    def call(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        words = [*command[0], name, *command[1], *map(str, arguments)]
        return subprocess.run(words, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60)

    return call


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LATENTLOOM_")}
    return {**kept, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": "/nowhere"}


def write(path: Path, workflow: object = WORKFLOW) -> Path:
    path.write_text(workflow if isinstance(workflow, str) else json.dumps(workflow))
    return path


def test_run_writes_files_and_names_them_one_on_each_line(cli: Cli, tmp_path: Path) -> None:
    done = cli("run", write(tmp_path / "w.json"), "--out", "here")
    assert (done.returncode, done.stdout.splitlines()) == (0, [str(tmp_path / "here" / "note_00001.txt")])
    assert (tmp_path / "here" / "note_00001.txt").read_text() == "hello"
    assert "Words" in done.stderr and "keep" in done.stderr


def test_an_identical_run_in_another_process_computes_nothing_and_names_the_same_files(
    cli: Cli, tmp_path: Path
) -> None:
    workflow = write(tmp_path / "w.json")
    answers = [json.loads(cli("run", workflow, "--json").stdout) for _ in range(2)]
    assert [[step["state"] for step in answer["steps"]] for answer in answers] == [["computed"] * 2, ["reused"]]
    assert answers[0]["files"] == answers[1]["files"]
    Path(answers[0]["files"][0]["path"]).unlink()
    third = json.loads(cli("run", workflow, "--json").stdout)
    assert Path(third["files"][0]["path"]).read_text() == "hello", "a deleted file is written again"


def test_json_is_one_object_with_everything(cli: Cli, tmp_path: Path) -> None:
    done = cli("run", write(tmp_path / "w.json"), "--json", "--set", "words.text=bye")
    answer = json.loads(done.stdout)
    assert done.returncode == 0 and answer["status"] == "succeeded" and answer["problems"] == []
    assert [(file["step"], file["kind"], file["media"]) for file in answer["files"]] == [("keep", "output", "text")]
    words = {step["step"]: step for step in answer["steps"]}["words"]
    assert (words["kind"], words["state"], words["outputs"]) == ("faults/slow_text", "computed", {"string": "'bye'"})
    assert words["seconds"] >= 0.05
    assert Path(answer["files"][0]["path"]).read_text() == "bye"


@pytest.mark.parametrize(
    ("arguments", "place", "fix"),
    [
        (["none.json"], "none.json", "Correct the path."),
        (["w.json", "--set", "words.txet=a"], "--set words.txet", "Did you mean text?"),
        (["w.json", "--set", "wodrs.text=a"], "--set wodrs.text", "Did you mean words?"),
        (["w.json", "--set", "nonsense"], "--set nonsense", "--set paint.steps=8"),
        (["w.json", "--seed", "3"], "--seed", "Leave it out."),
        (["w.json", "--prompt", "a cat"], "--prompt", "--set step.knob=text"),
        (["w.json", "--host-memory", "lots"], "--host-memory", "memory"),
        (["broken.json"], "broken.json", "Correct it there"),
        (["not.png"], "not.png", "a picture saved with one"),
        (["unknown.json"], "keep", "Install the pack"),
    ],
)
def test_what_cannot_be_used_is_a_problem_with_place_and_fix(
    command: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    place: str,
    fix: str,
) -> None:
    write(tmp_path / "w.json")
    write(tmp_path / "broken.json", '{"steps": }')
    write(tmp_path / "not.png", "no picture")
    write(tmp_path / "unknown.json", {**WORKFLOW, "steps": {"keep": {"kind": "other/save", "inputs": {}}}})
    monkeypatch.chdir(tmp_path)
    assert main(["run", *command[1], *arguments]) == 2
    said = capsys.readouterr()
    assert place in said.err and fix in said.err
    assert "Traceback" not in said.err and said.out == ""


def test_refused_in_json_is_one_object_as_well(cli: Cli) -> None:
    done = cli("run", "none.json", "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["status"]) == (2, "refused")
    assert answer["problems"][0]["code"] == "no-file"


@pytest.mark.parametrize(
    ("kind", "words"), [("raises", "RuntimeError: no"), ("exits", "exit code 3"), ("segfaults", "SIGSEGV")]
)
def test_a_run_that_fails_says_where_and_ends_with_one(cli: Cli, tmp_path: Path, kind: str, words: str) -> None:
    done = cli("run", write(tmp_path / "w.json", {**WORKFLOW, "steps": {"bad": {"kind": f"faults/{kind}"}}}))
    assert done.returncode == 1
    assert "bad" in done.stderr and words in done.stderr
    assert "Traceback" not in done.stderr


def heard() -> None:
    """Ctrl-C is heard also where the tests run behind a shell, which has what it starts ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.parametrize(("kind", "times"), [("polite", 1), ("sleeps", 2)])
@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is a signal")
def test_ctrl_c_cancels_and_once_more_ends_it_at_once(command: Any, tmp_path: Path, kind: str, times: int) -> None:
    steps = {
        "first": {"kind": "faults/add", "inputs": {"a": 1, "b": 2}},
        "long": {"kind": f"faults/{kind}", "inputs": {"after": {"join": ["first", "int"]}}},
    }
    workflow = write(tmp_path / "w.json", {**WORKFLOW, "steps": steps})
    words = [*command[0], "run", *command[1], str(workflow)]
    running = subprocess.Popen(
        words, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True, preexec_fn=heard
    )
    assert running.stderr is not None
    assert "first" in running.stderr.readline()
    time.sleep(0.2)
    for _ in range(times):
        running.send_signal(signal.SIGINT)
        time.sleep(0.2)
    _, said = running.communicate(timeout=20)
    assert running.returncode == 130
    assert "Stopping" in said and "Traceback" not in said


def test_set_reads_each_value_by_the_type_of_its_knob(cli: Cli, tmp_path: Path) -> None:
    steps = {"sum": {"kind": "faults/add", "inputs": {"a": 1, "b": 2}}}
    workflow = write(tmp_path / "w.json", {**WORKFLOW, "steps": steps})
    answer = json.loads(cli("run", workflow, "--set", "sum.a=40", "--json").stdout)
    assert answer["steps"][0]["outputs"] == {"int": "42"}
    assert cli("run", workflow, "--set", "sum.a=four").returncode == 2


def test_nodes_lists_the_palette(cli: Cli) -> None:
    done = cli("nodes")
    assert done.returncode == 0
    assert "faults/add" in done.stdout and "(a INT, b INT) → INT [output]" in done.stdout
    answer = json.loads(cli("nodes", "--json").stdout)
    assert "faults/add" in {node["kind"] for node in answer["nodes"]}
    assert answer["packs"][0]["name"] == "faults"


def test_the_doctor_looks_at_everything_and_changes_nothing(cli: Cli, tmp_path: Path) -> None:
    done = cli("doctor")
    assert done.returncode == 0, done.stdout
    names = {finding["name"] for finding in json.loads(cli("doctor", "--json").stdout)["findings"]}
    assert {"program", "libraries", "sqlite", "memory", "data folder", "output folder"} <= names
    assert {"device", "pack faults"} <= names
    assert not (tmp_path / "data").exists()


def test_help_and_version_need_nothing(cli: Cli) -> None:
    version = [sys.executable, "-m", "graph_runtime", "--version"]
    done = subprocess.run(version, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and done.stdout.startswith("latentloom ")
    assert "--prompt" in cli("run", "--help").stdout


def test_control_characters_in_a_workflow_do_not_reach_the_terminal(cli: Cli, tmp_path: Path) -> None:
    steps = {"bad": {"kind": "faults/raises", "title": "\x1b[2Jtitle", "inputs": {"text": "\x1b]0;own\x07"}}}
    done = cli("run", write(tmp_path / "w.json", {**WORKFLOW, "steps": steps}))
    assert done.returncode == 1
    assert "\x1b" not in done.stderr and "\x07" not in done.stderr


def test_bench_prints_one_row_for_each_shape_and_size(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "executor", "--steps", "10", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {(row["shape"], row["steps"]) for row in rows} == {("chain", 10), ("wide", 10)}
    assert main(["bench", "executor", "--steps", "10"]) == 0
    assert "first_us_median" in capsys.readouterr().out
