from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from graph_runtime.packs import Pack, Source, builtin_hook, find_packs, hook, load_pack, load_packs
from graph_runtime.settings import Settings

HEAD = "from graph_runtime.node import node\nfrom graph_runtime.sockets import socket\n"
GOOD = HEAD + "@node('{pack}/{name}')\ndef {name}(*, n: int = 1) -> int:\n    return n\n"


def write(folder: Path, name: str, text: str, **more: str) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(text)
    for file, content in more.items():
        (folder / name / f"{file}.py").write_text(content)


def packs_in(folder: Path) -> dict[str, Pack]:
    return {pack.name: pack for pack in load_packs(Settings(data_dir=folder, custom_nodes_dirs=(folder,), packs=()))}


def kinds(pack: Pack) -> list[str]:
    return [one.kind for one in pack.defs]


def codes(pack: Pack) -> list[str]:
    return [problem.code for problem in pack.problems]


def test_a_folder_is_a_pack_and_so_is_a_file(tmp_path: Path) -> None:
    write(tmp_path, "one", GOOD.format(pack="one", name="a") + GOOD.format(pack="one", name="b"))
    (tmp_path / "two.py").write_text(GOOD.format(pack="two", name="c"))
    (tmp_path / "_not.py").write_text("raise RuntimeError")
    (tmp_path / ".git").mkdir()
    packs = packs_in(tmp_path)
    assert {name: kinds(pack) for name, pack in packs.items()} == {"one": ["one/a", "one/b"], "two": ["two/c"]}
    assert not any(pack.problems for pack in packs.values())


def test_the_manifest_gives_the_palette_order_the_title_and_files(tmp_path: Path) -> None:
    text = "TITLE = 'Two'\nNODES = ('.z', '.a')\nFILES = {'lora': {'style': 'files/style.safetensors'}}\n"
    write(tmp_path, "p", text, a=GOOD.format(pack="p", name="a"), z=GOOD.format(pack="p", name="z"))
    pack = packs_in(tmp_path)["p"]
    assert (pack.title, kinds(pack)) == ("Two", ["p/z", "p/a"])
    assert pack.files == {("lora", "style"): tmp_path / "p" / "files" / "style.safetensors"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("import no_such_module_anywhere", "Install what it needs, no_such_module_anywhere"),
        ("def f(:\n    pass", "Correct the pack"),
        ("x = 1\nraise RuntimeError('sorry')", "Correct the pack"),
        ("import sys\nsys.exit(3)", "Correct the pack"),
        ("from .missing import x", "Correct the pack"),
    ],
    ids=["missing module", "syntax", "raises", "exits", "missing part"],
)
def test_a_pack_that_cannot_be_imported_is_a_problem_and_the_rest_load(tmp_path: Path, text: str, wanted: str) -> None:
    write(tmp_path, "bad", text)
    write(tmp_path, "good", GOOD.format(pack="good", name="a"))
    packs = packs_in(tmp_path)
    (problem,) = packs["bad"].problems
    assert problem.code == "pack-failed" and wanted in problem.fix
    assert str(tmp_path / "bad") in problem.place
    assert kinds(packs["good"]) == ["good/a"]


def test_the_problem_of_a_failed_import_shows_the_line(tmp_path: Path) -> None:
    write(tmp_path, "bad", "from . import part", part="x = 1\ny = x / 0\n")
    (problem,) = packs_in(tmp_path)["bad"].problems
    assert "ZeroDivisionError" in problem.what and "part.py, line 2: y = x / 0" in problem.what


def test_one_broken_file_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    write(tmp_path, "p", "NODES = ('.broken', '.fine')", broken="1/0", fine=GOOD.format(pack="p", name="a"))
    pack = packs_in(tmp_path)["p"]
    assert (kinds(pack), codes(pack)) == (["p/a"], ["pack-failed"])


def test_one_wrong_annotation_is_a_problem_of_that_node(tmp_path: Path) -> None:
    wrong = "@node('p/wrong')\ndef wrong(a, *, b: complex = 1j) -> int:\n    return 1\n"
    write(tmp_path, "p", GOOD.format(pack="p", name="a") + wrong)
    pack = packs_in(tmp_path)["p"]
    assert kinds(pack) == ["p/a"]
    assert set(codes(pack)) == {"missing-annotation", "bad-annotation"}
    assert all("p/wrong" in problem.place for problem in pack.problems)


def test_kinds_begin_with_the_name_of_their_pack(tmp_path: Path) -> None:
    write(tmp_path, "p", GOOD.format(pack="core", name="a") + GOOD.format(pack="p", name="b"))
    pack = packs_in(tmp_path)["p"]
    assert (kinds(pack), codes(pack)) == (["p/b"], ["foreign-kind"])
    assert "p/…" in pack.problems[0].fix


def test_a_kind_and_a_pack_are_there_once(tmp_path: Path) -> None:
    write(tmp_path, "a", GOOD.format(pack="a", name="x") + GOOD.format(pack="a", name="x").replace("def x", "def y"))
    write(tmp_path, "b", "NAME = 'a'\n" + GOOD.format(pack="a", name="x"))
    first, second = load_packs(Settings(data_dir=tmp_path, custom_nodes_dirs=(tmp_path,), packs=()))
    assert (kinds(first), codes(first)) == (["a/x"], ["kind-twice"])
    assert (kinds(second), codes(second)) == ([], ["pack-twice"])


def test_a_socket_that_another_pack_has_as_another_class_is_a_problem(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path, name, HEAD + "@socket('THING')\nclass Thing:\n    pass\n")
    packs = packs_in(tmp_path)
    assert (set(packs["a"].sockets), codes(packs["a"])) == ({"THING"}, [])
    assert (set(packs["b"].sockets), codes(packs["b"])) == (set(), ["socket-twice"])


def test_two_packs_may_have_files_of_the_same_name_and_sys_path_stays(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path, name, "from .model import f\n", model=GOOD.format(pack=name, name="f"))
        (tmp_path / name / "__init__.py").write_text("NODES = ('.model',)")
    path, known = list(sys.path), set(sys.modules)
    packs = packs_in(tmp_path)
    assert [kinds(pack) for pack in packs.values()] == [["a/f"], ["b/f"]]
    assert sys.path == path
    assert all(name.startswith("_latentloom_pack_") for name in set(sys.modules) - known)


def test_a_manifest_of_the_wrong_form_is_told_completely(tmp_path: Path) -> None:
    write(tmp_path, "p", "NAME = 'two words'\nNODES = 'blur'\nHOOKS = ['x']\nFILES = {'lora': 'x'}\nEDITOR = 'web'\n")
    assert codes(packs_in(tmp_path)["p"]) == ["bad-manifest"] * 5


def test_each_pack_is_announced_before_it_is_imported_and_a_skipped_one_is_not(tmp_path: Path) -> None:
    write(tmp_path, "a", "import os\nassert os.environ['LOOM_TEST_SEEN'] == 'yes'")
    write(tmp_path, "b", "raise BaseException")
    settings = Settings(data_dir=tmp_path, custom_nodes_dirs=(tmp_path,), packs=())
    seen: list[str] = []
    packs = load_packs(settings, seen.append, skip={str(tmp_path / "b")})
    assert seen == [str(tmp_path / "a")]
    assert codes(packs[1]) == ["pack-quarantined"]


def test_hooks_are_found_without_importing_nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hooked.py").write_text("NAME = 'h'\nNODES = ('no_such_module',)\nHOOKS = {'join': 'os.path:join'}\n")
    monkeypatch.syspath_prepend(tmp_path)
    settings = Settings(data_dir=tmp_path, packs=("hooked",))
    found = builtin_hook(settings, "join")
    assert found is not None and found("a", "b") == str(Path("a") / "b")
    assert builtin_hook(settings, "other") is None
    assert hook([load_pack(Source("hooked", "hooked", module="hooked"))], "join") is found


def test_looking_for_packs_imports_none(tmp_path: Path) -> None:
    write(tmp_path, "a", "raise RuntimeError")
    names = [one.name for one in find_packs(Settings(data_dir=tmp_path, custom_nodes_dirs=(tmp_path,)))]
    assert names[:1] == ["nodes"] and names[-1] == "a"


def test_the_built_in_nodes_come_through_the_same_door() -> None:
    pack = load_pack(Source("nodes", "nodes", module="nodes"))
    assert pack.name == "core"
    assert [str(problem) for problem in pack.problems] == []
    assert all(kind.startswith("core/") for kind in kinds(pack))
    assert {"IMAGE", "LATENT", "MASK"} <= set(pack.sockets)


def test_importing_the_runtime_loads_no_tensor_library() -> None:
    code = (
        "import sys, graph_runtime, graph_runtime.packs, graph_runtime.settings\n"
        "print(*sorted({'torch', 'numpy', 'PIL', 'nodes'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
