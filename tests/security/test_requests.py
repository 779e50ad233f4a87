"""What only a hand-written request can be, and how the browser gets its cookie."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest
from raw import request, send
from serving import Running, running

from graph_runtime.problem import Refused
from graph_runtime.server.options import ServerLimits, ServerOptions
from graph_runtime.server.tokens import Tokens, read_token


def lines(server: Running, target: str, *headers: str) -> bytes:
    said = [f"GET {target} HTTP/1.1", *headers, f"Authorization: Bearer {server.token}", "Connection: close", "", ""]
    return "\r\n".join(said).encode("latin-1")


@pytest.mark.parametrize(
    "headers",
    [
        ["Host: 127.0.0.1:{port}", "Host: evil.example"],
        ["Host: evil.example", "Host: 127.0.0.1:{port}"],
        ["Host: 127.0.0.1:{port}", "Host: 127.0.0.1:{port}"],
        ["Host: 127.0.0.1:{port}, evil.example"],
        ["Host: "],
        [],
        ["Host : 127.0.0.1:{port}"],
        ["Host: 127.0.0.1:{port}", "X: 1", " folded: 2"],
        ["Host: 127.0.0.1:{port}", "Transfer-Encoding: chunked", "Content-Length: 5"],
        ["Host: 127.0.0.1:{port}", "Content-Length: 5", "Content-Length: 6"],
        ["Host: 127.0.0.1:{port}", "Content-Length: -1"],
        ["Host: 127.0.0.1:{port}", "Origin: http://127.0.0.1:{port}", "Origin: http://evil.example"],
        ["Host: 127.0.0.1:{port}", "X-Forwarded-Host: 127.0.0.1:{port}", "Origin: http://evil.example"],
    ],
)
def test_a_request_that_says_two_things_is_refused(server: Running, headers: list[str]) -> None:
    answer = send(server.port, lines(server, "/api/runs", *(one.format(port=server.port) for one in headers)))
    assert answer.status in (400, 403, 421)


@pytest.mark.parametrize(
    "target",
    ["http://127.0.0.1:{port}/api/runs", "http://evil.example/api/runs", "//evil.example/api/runs", "*", "api/runs",
     "/../api/runs", "/api//runs", "/api/runs/../../etc/passwd", "/api/runs/%2e%2e/%2e%2e/etc/passwd", "/api/runs\x00"],
)  # fmt: skip
def test_a_target_that_is_no_plain_path_finds_nothing(server: Running, target: str) -> None:
    data = lines(server, target.format(port=server.port), f"Host: 127.0.0.1:{server.port}")
    assert send(server.port, data).status in (400, 404)


def test_forwarding_headers_are_not_believed(server: Running) -> None:
    said = [("X-Forwarded-For", "127.0.0.1"), ("Forwarded", "for=127.0.0.1"), ("X-Real-IP", "127.0.0.1")]
    assert request(server.port, "GET", "/api/runs", said).status == 401


def test_a_ticket_is_good_once_and_becomes_a_cookie(server: Running) -> None:
    ticket = server.server.tokens.new_ticket()
    answer = request(server.port, "GET", f"/?ticket={ticket}", [])
    assert answer.status == 303 and answer.header("Location") == "/"
    cookie = answer.header("Set-Cookie")
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Path=/" in cookie
    value = re.match(r"([^;]+)", cookie)
    assert value is not None and server.token not in cookie
    assert request(server.port, "GET", "/", [("Cookie", value[1])]).status == 200
    assert request(server.port, "GET", "/api/runs", [("Cookie", value[1])]).status == 200
    assert request(server.port, "GET", f"/?ticket={ticket}", []).status == 401
    assert request(server.port, "GET", "/api/runs?ticket=x", []).status == 401


def test_a_ticket_does_not_outlive_its_minute() -> None:
    now = [0.0]
    tokens = Tokens("x" * 43, 60.0, lambda: now[0])
    early, late = tokens.new_ticket(), tokens.new_ticket()
    now[0] = 59.0
    assert tokens.use_ticket(early)
    now[0] = 61.0
    assert not tokens.use_ticket(late)


def test_a_browser_may_be_led_to_the_page_from_elsewhere_but_to_nothing_more(server: Running) -> None:
    led = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")]
    said = [("Authorization", f"Bearer {server.token}")]
    assert request(server.port, "GET", "/", [*said, *led]).status == 200
    assert request(server.port, "GET", "/", [*said, *led[:2], ("Sec-Fetch-Dest", "iframe")]).status == 403
    assert request(server.port, "GET", "/api/runs", [*said, *led]).status == 403


def test_a_stranger_sees_a_page_that_tells_nothing(server: Running) -> None:
    answer = request(server.port, "GET", "/", [])
    assert answer.status == 401 and b"latentloom open" in answer.body
    assert b"<script" not in answer.body and b"queued" not in answer.body


def test_after_five_wrong_tokens_a_minute_no_more_are_looked_at(tmp_path: Path) -> None:
    with running(tmp_path / "data", devices=()) as server:
        tried = [
            request(server.port, "GET", "/api/runs", [("Authorization", f"Bearer {number}")]).status
            for number in range(8)
        ]
        assert tried == [401] * 5 + [429] * 3
        assert request(server.port, "GET", "/?ticket=wrong", []).status == 429
        assert request(server.port, "GET", "/api/runs", [("Authorization", f"Bearer {server.token}")]).status == 200


def test_trusting_this_machine_waives_the_token_and_nothing_else(tmp_path: Path) -> None:
    with running(tmp_path / "data", devices=(), options={"trust_loopback": True}) as server:
        port = server.port
        assert request(port, "GET", "/api/runs", []).status == 200
        assert request(port, "GET", "/api/runs", [], host="evil.example").status == 421
        assert request(port, "GET", "/api/runs", [("Origin", "null")]).status == 403
        assert request(port, "GET", "/api/runs", [("Sec-Fetch-Site", "cross-site")]).status == 403
        assert request(port, "POST", "/api/queue/empty", [("Content-Type", "text/plain")], b"{}").status == 415


def test_only_what_is_safe_may_be_listened_on() -> None:
    def refused(**said: object) -> str:
        try:
            ServerOptions(**said).check()  # type: ignore[arg-type]
        except Refused as refused:
            return refused.problems[0].code
        return ""

    assert refused(host="0.0.0.0") == refused(host="192.168.1.2") == refused(host="::") == "insecure-bind"
    assert refused(host="0.0.0.0", insecure_lan=True, trust_loopback=True) == "trust-beyond-loopback"
    assert refused(host="0.0.0.0", insecure_lan=True) == refused(host="0.0.0.0", tls_cert=Path("x")) == ""
    assert refused(host="127.0.0.1") == refused(host="::1") == refused(host="localhost") == ""
    assert "evil.example:80" not in ServerOptions(host="0.0.0.0").hosts(80)


@pytest.mark.skipif(os.name != "posix", reason="rights as POSIX has them")
def test_the_token_is_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    token = read_token(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "token").stat().st_mode) == 0o600
    (folder / "token").chmod(0o644)
    assert read_token(folder) == token
    assert stat.S_IMODE((folder / "token").stat().st_mode) == 0o600
    (folder / "token").write_text("short")
    with pytest.raises(Refused):
        read_token(folder)


def test_limits_hold_at_the_limit_and_one_beyond(tmp_path: Path) -> None:
    limits = ServerLimits(json_body=1000, upload=500)
    with running(tmp_path / "data", devices=(), options={"limits": limits}) as server:
        said = [("Authorization", f"Bearer {server.token}"), ("Content-Type", "application/json")]
        fits = b'{"graph": {"steps": {}}}'.ljust(1000)
        assert request(server.port, "POST", "/api/runs", said, fits).status == 201
        assert request(server.port, "POST", "/api/runs", said, fits + b" ").status == 413
        said[1] = ("Content-Type", "application/octet-stream")
        picture = b"\x89PNG\r\n\x1a\n".ljust(500, b"x")
        assert request(server.port, "POST", "/api/uploads?name=a.png", said, picture).status == 422
        assert request(server.port, "POST", "/api/uploads?name=a.png", said, picture + b"x").status == 413


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b'{"graph": 1}', b'{"grahp": {}}', b'{"graph": {"steps": {}}, "graph": {}}', b"{" * 100_000,
     b'{"priority": NaN}', b'{"priority": 1e999}', b'{"priority": "1"}', b'{"priority": 1.5}', b'{"run": "../x"}',
     b'{"graph": {"steps": {"a": 1}}}', b"\xff\xfe", b'{"meta": []}', b'{"graph": null}',
     b'{"priority": 9007199254740993}'],
)  # fmt: skip
def test_a_body_that_is_not_what_is_taken_is_refused_with_a_problem(server: Running, body: bytes) -> None:
    said = [("Authorization", f"Bearer {server.token}"), ("Content-Type", "application/json")]
    answer = request(server.port, "POST", "/api/runs", said, body)
    assert answer.status in (400, 422) and b'"problems"' in answer.body and b"Traceback" not in answer.body
