"""Who may call: every route of the server, against everything a stranger may try."""

from __future__ import annotations

import re

import pytest
from raw import Header, request
from serving import Running

from graph_runtime.server.guard import JSON, Access, Policy
from graph_runtime.server.routes import ROUTES, Route

UNKNOWN = Route("GET", "/no/such/place", ROUTES[0].handler)
EVERY = [*ROUTES, UNKNOWN, Route("DELETE", "/api/nodes", ROUTES[0].handler)]
EVIL = "http://evil.example"


def target(route: Route) -> str:
    return re.sub(r"\{[^}]*\}", "unknown", route.path)


def good(server: Running, route: Route) -> list[Header]:
    headers = [("Authorization", f"Bearer {server.token}")]
    if route.method in ("POST", "PATCH"):
        headers.append(("Content-Type", route.policy.takes))
    return headers


def without(headers: list[Header], name: str) -> list[Header]:
    return [one for one in headers if one[0] != name]


def call(server: Running, route: Route, headers: list[Header], *, body: bytes = b"", host: str | None = None) -> int:
    body = body or (b"{}" if route.method in ("POST", "PATCH") else b"")
    return request(server.port, route.method, target(route), headers, body, host=host).status


ids = [f"{route.method} {route.path}" for route in EVERY]
each = pytest.mark.parametrize("route", EVERY, ids=ids)


def test_every_route_says_who_may_call(server: Running) -> None:
    app = server.service._runner.app
    there = {(one.method, one.resource.canonical) for one in app.router.routes() if one.resource is not None}
    assert there == {(route.method, re.sub(r":[^}]*", "", route.path)) for route in ROUTES}
    assert all(isinstance(route.policy, Policy) for route in ROUTES)
    opened = {route.path for route in ROUTES if route.policy.access is Access.OPEN}
    assert opened == {"/healthz"}
    writing = [route for route in ROUTES if route.method in ("POST", "PUT", "PATCH")]
    assert all(route.policy.takes for route in writing)
    assert all(route.method in ("POST", "PATCH", "DELETE") for route in ROUTES if route.policy.takes)


@each
def test_who_belongs_is_not_turned_away(server: Running, route: Route) -> None:
    if route.path == "/api/queue/pause":
        return  # it would pause the queue of the other tests; its neighbours are called
    assert call(server, route, good(server, route)) not in (401, 403, 415, 421, 429)


@each
@pytest.mark.parametrize("token", ["", "Bearer ", "Bearer wrong", "Bearer \xff\xfe", "Basic eDp5", "cookie", "query"])
def test_without_the_right_token_nothing_is_answered(server: Running, route: Route, token: str) -> None:
    headers = without(good(server, route), "Authorization")
    if token == "cookie":
        headers.append(("Cookie", f"latentloom_{server.port}=wrong; latentloom={server.token}"))
    elif token and token != "query":
        headers.append(("Authorization", token))
    answer = request(
        server.port,
        route.method,
        target(route) + (f"?token={server.token}" if token == "query" else ""),
        headers,
        b"{}" if route.method in ("POST", "PATCH") else b"",
    )
    assert answer.status == (200 if route.policy.access is Access.OPEN else 401)
    assert server.token.encode() not in answer.body


@each
@pytest.mark.parametrize(
    "origin",
    [EVIL, "null", "", "http://127.0.0.1", "https://127.0.0.1:{port}", "http://127.0.0.1:1", "http://localhost:{port}",
     "http://127.0.0.1:{port}.evil.example", "http://127.0.0.1:{port}/", "HTTP://127.0.0.1:{port}", "file://"],
)  # fmt: skip
def test_a_page_of_another_origin_is_refused(server: Running, route: Route, origin: str) -> None:
    headers = [*good(server, route), ("Origin", origin.format(port=server.port))]
    assert call(server, route, headers) == 403


@each
@pytest.mark.parametrize("site", ["cross-site", "same-site", "whatever", "CROSS-SITE"])
def test_what_another_site_makes_a_browser_ask_is_refused(server: Running, route: Route, site: str) -> None:
    headers = [
        *good(server, route),
        ("Sec-Fetch-Site", site),
        ("Sec-Fetch-Mode", "no-cors"),
        ("Sec-Fetch-Dest", "image"),
    ]
    assert call(server, route, headers) == 403


@each
@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "127.1:{port}", "127.0.0.1.:{port}",
     "localhost.:{port}", "LOCALHOST:{port}", "0.0.0.0:{port}", "192.168.1.5:{port}", "user@127.0.0.1:{port}",
     "2130706433:{port}", "0x7f.1:{port}", "127.0.0.1:{port}@evil.example", "ⓛocalhost:{port}", "localhost:0{port}"],
)  # fmt: skip
def test_another_name_in_the_host_header_is_refused(server: Running, route: Route, host: str) -> None:
    given = host.format(port=server.port).encode("utf-8").decode("latin-1")
    assert call(server, route, good(server, route), host=given) in (400, 421)


@each
@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "text/json",
     "application/json+x", "image/png", "text/plain; application/json"],
)  # fmt: skip
def test_a_body_of_another_media_type_is_refused(server: Running, route: Route, kind: str) -> None:
    headers = without(good(server, route), "Content-Type")
    if kind:
        headers.append(("Content-Type", kind))
    if route.method in ("POST", "PATCH"):
        assert call(server, route, headers, body=b'{"graph": {}}') == 415
    elif kind:
        assert call(server, route, headers, body=b"x=1") == 415


@each
def test_every_answer_carries_the_headers(server: Running, route: Route) -> None:
    for headers in (good(server, route), []):
        answer = request(server.port, route.method, target(route), headers, b"")
        assert answer.header("X-Content-Type-Options") == "nosniff"
        assert "frame-ancestors 'none'" in answer.header("Content-Security-Policy")
        assert "unsafe" not in answer.header("Content-Security-Policy").replace("style-src 'unsafe-inline'", "")
        assert answer.header("Referrer-Policy") == "no-referrer"
        assert answer.header("Cross-Origin-Resource-Policy") == "same-origin"
        assert not answer.header("Access-Control-Allow-Origin")
        assert answer.header("Cache-Control")
        if route.policy.access is not Access.PAGE and "/assets/" not in route.path:
            assert "sandbox" in answer.header("Content-Security-Policy")


@each
@pytest.mark.parametrize("method", ["OPTIONS", "HEAD", "TRACE", "PUT"])
def test_no_other_method_does_anything(server: Running, route: Route, method: str) -> None:
    headers = [("Authorization", f"Bearer {server.token}"), ("Content-Type", JSON)]
    assert request(server.port, method, target(route), headers, b"{}").status in (404, 405, 415)
    preflight = [("Origin", EVIL), ("Access-Control-Request-Method", "POST")]
    answer = request(server.port, "OPTIONS", target(route), preflight)
    assert answer.status == 403 and not answer.header("Access-Control-Allow-Origin")
