"""The WebSocket is let in as every request is, and says nothing before."""

from __future__ import annotations

import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serving import Running

Headers = list[tuple[str, str]]


def upgrade(server: Running, headers: Headers, *, host: str | None = None, target: str = "/api/live") -> bytes:
    """All that comes back within a moment."""
    listed = [
        ("Host", host if host is not None else f"127.0.0.1:{server.port}"),
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        *headers,
    ]
    head = f"GET {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in listed) + "\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(head.encode("latin-1"))
        raw = connection.recv(65536)
        connection.settimeout(0.3 if b" 101 " in raw else 0.02)
        try:
            while piece := connection.recv(65536):
                raw += piece
        except TimeoutError:
            pass
        return raw


def no_frame(raw: bytes) -> bool:
    """Whether it is one plain answer of HTTP and nothing after it."""
    head, _, body = raw.partition(b"\r\n\r\n")
    length = next(
        (int(one.split(b":")[1]) for one in head.split(b"\r\n") if one.lower().startswith(b"content-length")), 0
    )
    return b" 101 " not in head.split(b"\r\n")[0] and len(body) == length


def test_who_belongs_is_let_in_and_hears_the_first_message(server: Running) -> None:
    raw = upgrade(server, [("Authorization", f"Bearer {server.token}"), ("Origin", f"http://127.0.0.1:{server.port}")])
    assert b" 101 " in raw.split(b"\r\n")[0] and b'"snapshot"' in raw
    cookie = f"latentloom_{server.port}={server.server.tokens.cookie}"
    assert b" 101 " in upgrade(server, [("Cookie", cookie)])


@pytest.mark.parametrize(
    ("headers", "host", "statuses"),
    [
        ([], None, (401,)),
        ([("Authorization", "Bearer wrong")], None, (401,)),
        ([("Cookie", "latentloom_1=wrong")], None, (401,)),
        ([("Authorization", "Bearer {token}"), ("Origin", "http://evil.example")], None, (403,)),
        ([("Authorization", "Bearer {token}"), ("Origin", "null")], None, (403,)),
        ([("Cookie", "latentloom_{port}={cookie}"), ("Origin", "null")], None, (403,)),
        ([("Cookie", "latentloom_{port}={cookie}"), ("Origin", "http://127.0.0.1:1")], None, (403,)),
        ([("Cookie", "latentloom_{port}={cookie}"), ("Origin", "https://127.0.0.1:{port}")], None, (403,)),
        ([("Cookie", "latentloom_{port}={cookie}"), ("Origin", "http://localhost:{port}")], None, (403,)),
        ([("Cookie", "latentloom_{port}={cookie}"), ("Sec-Fetch-Site", "cross-site")], None, (403,)),
        ([("Cookie", "latentloom_{port}={cookie}"), ("Sec-Fetch-Site", "same-site")], None, (403,)),
        ([("Authorization", "Bearer {token}")], "evil.example", (421,)),
        ([("Authorization", "Bearer {token}")], "evil.example:{port}", (421,)),
        (
            [("Authorization", "Bearer {token}"), ("Origin", "http://evil.example:{port}")],
            "evil.example:{port}",
            (421,),
        ),
        ([("Authorization", "Bearer {token}"), ("Host", "evil.example")], None, (400,)),
        ([("Sec-WebSocket-Protocol", "bearer.{token}")], None, (401,)),
    ],
)
def test_who_does_not_belong_gets_an_answer_and_no_frame(
    server: Running, headers: Headers, host: str | None, statuses: tuple[int, ...]
) -> None:
    known = {"port": server.port, "token": server.token, "cookie": server.server.tokens.cookie}
    said = [(name, value.format(**known)) for name, value in headers]
    raw = upgrade(server, said, host=host.format(**known) if host else None)
    assert int(raw.split()[1]) in statuses and no_frame(raw)


def test_a_token_in_the_address_is_none(server: Running) -> None:
    for target in (f"/api/live?token={server.token}", f"/api/live?ticket={server.server.tokens.new_ticket()}"):
        raw = upgrade(server, [], target=target)
        assert raw.startswith(b"HTTP/1.1 401") and no_frame(raw)


words = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scheme=st.sampled_from(["Bearer", "bearer", "Basic", "Token", ""]), token=words, cookie=words, origin=words)
def test_nothing_is_said_before_the_token_was_right(
    server: Running, scheme: str, token: str, cookie: str, origin: str
) -> None:
    headers = [("Authorization", f"{scheme} {token}"), ("Cookie", f"latentloom_{server.port}={cookie}")]
    assert no_frame(upgrade(server, headers))
    assert no_frame(upgrade(server, [("Authorization", f"Bearer {server.token}"), ("Origin", origin or "x")]))


def test_a_request_that_is_no_upgrade_is_refused(server: Running) -> None:
    from raw import request

    assert request(server.port, "GET", "/api/live", [("Authorization", f"Bearer {server.token}")]).status == 400
