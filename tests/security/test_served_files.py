"""Files: a client holds ids it cannot make, names no path, and is served nothing that could run."""

from __future__ import annotations

import base64
import io
import os
import struct
import zlib
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw import Answer, request
from serving import Running, running

from graph_runtime.problem import Refused
from graph_runtime.server.file_ids import FileIds
from graph_runtime.server.sniff import OTHER, PICTURES, SHOWN, media_type

CANARY = b"the canary sings: 7f3a91"


def png(width: int = 2, height: int = 2, more: bytes = b"") -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\x00" + b"\xff\x00\x80" * width for _ in range(height))) if width < 10_000 else b"x"
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + more + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to serve, with links that lead out of it, beside a canary."""
    root = tmp_path_factory.mktemp("tree")
    (root / "canary.txt").write_bytes(CANARY)
    served = root / "served"
    (served / "cats").mkdir(parents=True)
    (served / "cats" / "tom.png").write_bytes(png())
    os.symlink(root / "canary.txt", served / "link.png")
    os.symlink(root, served / "out")
    os.symlink("../canary.txt", served / "cats" / "up.png")
    return served


parts = st.sampled_from(
    ["..", ".", "", "cats", "tom.png", "canary.txt", "link.png", "out", "up.png", "~", "C:", "...", "..;", "%2e%2e",
     "%2f", "\\", "..\\", "\x00", "con", "nul.txt", "served", "a" * 300, "‥", "．．", "tom.png ", "tom.png.", " ",
     "/etc/passwd"]
)  # fmt: skip
labels = st.lists(parts | st.text(max_size=6), max_size=6).map("/".join)


@settings(max_examples=1500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(label=labels, folder=st.sampled_from(["output", "nothing", "", ".."]))
def test_no_label_leads_out_of_its_folder(tree: Path, label: str, folder: str) -> None:
    """Even for who has the secret and could make any id."""
    ids = FileIds({"output": tree}, "secret")
    try:
        stream, _ = ids.open(ids.make(folder, label))
    except Refused as refused:
        assert refused.problems[0].code == "unknown-file"
        return
    with stream:
        assert CANARY not in stream.read()
        real = os.path.realpath(f"/proc/self/fd/{stream.fileno()}") if os.path.isdir("/proc/self/fd") else str(tree)
        assert Path(real).is_relative_to(tree)
    assert (tree.parent / "canary.txt").read_bytes() == CANARY


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=60), text=st.text(max_size=40))
def test_an_id_that_the_server_did_not_make_is_none(tree: Path, data: bytes, text: str) -> None:
    ids = FileIds({"output": tree}, "secret")
    for id in (
        base64.urlsafe_b64encode(data).decode(),
        text,
        base64.urlsafe_b64encode(b"output/cats/tom.png").decode(),
    ):
        with pytest.raises(Refused):
            ids.read(id)


def test_an_id_of_another_server_is_none(tree: Path) -> None:
    theirs = FileIds({"output": tree}, "another").make("output", "cats/tom.png")
    ours = FileIds({"output": tree}, "secret")
    assert ours.read(ours.make("output", "cats/tom.png")) == ("output", "cats/tom.png")
    with pytest.raises(Refused):
        ours.read(theirs)


def asked(server: Running, path: str) -> Answer:
    return request(server.port, "GET", path, [("Authorization", f"Bearer {server.token}")])


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(label=labels)
def test_no_route_serves_the_canary(server: Running, label: str) -> None:
    folder = server.service.settings.data_dir
    canary = folder.parent / "canary.txt"
    if not canary.exists():
        canary.write_bytes(CANARY)
    before = canary.stat()
    name = quote(label, safe="")
    for path in (
        "/api/files/{}",
        "/api/files/{}/thumbnail",
        "/assets/{}",
        "/api/names/{}",
        "/api/runs/{}",
        "/api/workflows/{}",
    ):
        answer = asked(server, path.format(name or "x"))
        assert answer.status in (400, 404, 422, 503, 200) and CANARY not in answer.body
    said = [("Authorization", f"Bearer {server.token}"), ("Content-Type", "application/octet-stream")]
    answer = request(server.port, "POST", f"/api/uploads?name={name}", said, b"no picture")
    assert answer.status in (400, 422)
    after = canary.stat()
    assert (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size)


HOSTILE = [
    (b"<!doctype html><script>alert(1)</script>", "page.html"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "picture.svg"),
    (b"<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'><script>1</script></html>", "x.xhtml"),
    (b"alert(1)", "script.js"),
    (b"%PDF-1.7 /JS (app.alert(1))", "doc.pdf"),
    (b"GIF89a/*" + b"x" * 20 + b"*/=1;alert(1)", "polyglot.gif"),
    (png(more=b"") + b"<script>alert(1)</script>", "polyglot.png"),
    (b"\xff\xd8\xff\xe0<html><script>alert(1)</script>", "polyglot.jpg"),
    (b"PK\x03\x04", "archive.zip"),
    (b"", "empty.png"),
]


@pytest.mark.parametrize(("data", "name"), HOSTILE, ids=[name for _, name in HOSTILE])
def test_what_is_served_cannot_run(server: Running, data: bytes, name: str) -> None:
    folder = server.service.settings.output_dir
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    answer = asked(server, f"/api/files/{server.server.ids.make('output', name)}")
    assert answer.status == 200 and answer.body == data
    media = answer.header("Content-Type")
    assert media in SHOWN or media == OTHER
    assert answer.header("Content-Disposition").startswith("inline" if media in SHOWN else "attachment")
    assert answer.header("X-Content-Type-Options") == "nosniff"
    policy = answer.header("Content-Security-Policy")
    assert "default-src 'none'" in policy and "sandbox" in policy and "allow-scripts" not in policy


def test_what_does_not_begin_like_a_picture_is_none() -> None:
    for data, name in HOSTILE:
        if "polyglot" not in name:
            assert media_type(data) not in PICTURES


@pytest.mark.parametrize("name", ["a\r\nSet-Cookie: x=1.png", 'a".png', "a;b.png", "ü.png", "a\u202egnp.exe"])
def test_a_strange_name_stays_inside_its_header(server: Running, name: str) -> None:
    folder = server.service.settings.output_dir
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(png())
    answer = asked(server, f"/api/files/{server.server.ids.make('output', name)}")
    assert not answer.header("Set-Cookie")
    assert answer.status == 404 or answer.header("Content-Disposition").isascii()


# ── uploads ──


def sent(server: Running, name: str, data: bytes) -> Answer:
    said = [("Authorization", f"Bearer {server.token}"), ("Content-Type", "application/octet-stream")]
    return request(server.port, "POST", f"/api/uploads?name={quote(name, safe='')}", said, data)


def test_a_picture_is_taken_named_shown_and_made_small(server: Running) -> None:
    first, second = sent(server, "cat.html", png()), sent(server, "cat.exe", png(3, 3))
    assert first.status == second.status == 201
    assert b'"cat.png"' in first.body and b'"cat_1.png"' in second.body  # by what they are, never over another
    inputs = server.client.ask("GET", "/api/inputs")["files"]
    found = {one["name"]: one for one in inputs}
    assert server.client.fetch(found["cat.png"]["id"]) == png()
    small = asked(server, f"/api/files/{found['cat.png']['id']}/thumbnail?side=64")
    assert small.status == 200 and small.header("Content-Type") == "image/webp"
    assert media_type(small.body[:64]) == "image/webp" and "sandbox" in small.header("Content-Security-Policy")
    assert not list((server.service.settings.data_dir / "staging").iterdir())


@pytest.mark.parametrize(
    "data", [data for data, name in HOSTILE if name not in ("polyglot.png",)], ids=lambda data: repr(data[:12])
)
def test_what_is_no_picture_is_not_kept(server: Running, data: bytes) -> None:
    folder = server.service.settings.input_dir
    before = sorted(folder.iterdir()) if folder.is_dir() else []
    assert sent(server, "x.png", data).status == 422
    assert (sorted(folder.iterdir()) if folder.is_dir() else []) == before


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_unpacked(server: Running) -> None:
    assert sent(server, "bomb.png", png(60_000, 60_000)).status == 422
    bomb = io.BytesIO()
    bomb.write(png(8_001, 8_001)[:60])
    assert sent(server, "bomb.png", bomb.getvalue()).status in (413, 422)


@pytest.mark.parametrize(
    "name", ["../x.png", "/etc/x.png", "a/b.png", "..", ".png", "con.png", "a\\b.png", "a:b.png", "\x00.png"]
)
def test_a_name_that_leads_elsewhere_puts_nothing_there(server: Running, name: str) -> None:
    folder = server.service.settings.data_dir
    before = {path for path in folder.parent.rglob("*") if folder / "input" not in path.parents}
    answer = sent(server, name, png())
    assert answer.status in (201, 400, 422)
    after = {path for path in folder.parent.rglob("*") if folder / "input" not in path.parents}
    assert {one for one in after - before if "sqlite" not in one.name and one.name not in ("input",)} == set()
    if (folder / "input").is_dir():
        assert all(one.is_file() and not one.name.startswith(".") for one in (folder / "input").iterdir())


def test_what_is_sent_in_pieces_without_end_is_cut(tmp_path: Path) -> None:
    from graph_runtime.server.options import ServerLimits

    with running(tmp_path / "data", devices=(), options={"limits": ServerLimits(upload=10_000)}) as server:
        head = (
            f"POST /api/uploads?name=a HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nTransfer-Encoding: chunked\r\n"
            f"Authorization: Bearer {server.token}\r\nContent-Type: application/octet-stream\r\n\r\n"
        )
        from raw import send

        chunk = b"1000\r\n" + b"x" * 4096 + b"\r\n"
        assert send(server.port, head.encode() + chunk * 4 + b"0\r\n\r\n").status == 413
        assert not list((tmp_path / "data" / "staging").iterdir())
