"""One server with the starter model and one Chromium for all of these tests; a browser profile of its own for each."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from editor_page import EditorPage
from editor_server import ROOT, EditorServer

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


@pytest.fixture(scope="session")
def bundle() -> Path:
    """The built editor; made now if a source is newer than it."""
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "web/hatch_build.py")
    assert spec is not None and spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    hook = build.CustomBuildHook(str(ROOT), {}, None, None, str(ROOT), "wheel")
    if not hook.done():
        if build.usable_npm() is None:
            pytest.fail("the editor is not built from these sources: pip install -e '.[test]' builds it")
        hook.initialize("editable", {})
    return ROOT / "graph_runtime" / "static"


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine (apt-get install chromium)")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=15_000)
    with sync_playwright() as playwright:
        # Without a GPU and as root in a container, as tests often run.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def served(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EditorServer]:
    server = EditorServer(tmp_path_factory.mktemp("editor") / "data")
    try:
        server.start()
        server.wait_ready()
        yield server
    finally:
        server.stop()


@pytest.fixture
def new_page(chromium: object, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., EditorPage]]:
    """Makes pages; each is a browser of its own unless told which to share. They end with the test, without errors."""
    made: list[EditorPage] = []

    def make(**options: object) -> EditorPage:
        beside = options.pop("beside", None)
        if isinstance(beside, EditorPage):
            page = beside.page.context.new_page()
        else:
            usual = {"viewport": {"width": 1600, "height": 1000}, "reduced_motion": "reduce"}
            page = chromium.new_context(**(usual | options)).new_page()  # type: ignore[attr-defined]
        page.set_default_timeout(15_000)
        made.append(EditorPage(page))
        return made[-1]

    yield make
    if request.node.stash.get(FAILED, False):
        for number, one in enumerate(made):
            one.page.screenshot(path=tmp_path / f"failed_{number}.png")
    for one in made:
        one.page.context.close()
    assert [error for one in made for error in one.errors] == []


@pytest.fixture
def editor(served: EditorServer, new_page: Callable[..., EditorPage]) -> EditorPage:
    """The editor as it is opened for the first time."""
    served.forget_drafts()
    served.ask("POST", "/api/runs/clear", {})
    return new_page().open(served.ticket())
