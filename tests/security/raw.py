"""Requests written by hand, byte by byte, for what no client library would send."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass

Header = tuple[str, str]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[Header]
    body: bytes

    def header(self, name: str) -> str:
        return next((value for one, value in self.headers if one.lower() == name.lower()), "")


def send(port: int, data: bytes, seconds: float = 10.0) -> Answer:
    """Send these bytes; what comes back until the server closes or has said everything."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        connection.sendall(data)
        raw = b""
        while b"\r\n\r\n" not in raw:
            piece = connection.recv(65536)
            if not piece:
                break
            raw += piece
        head, _, body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])]
        answer = Answer(int(lines[0].split()[1]) if lines[0] else 0, headers, b"")
        length = answer.header("Content-Length")
        while length and len(body) < int(length):
            piece = connection.recv(65536)
            if not piece:
                break
            body += piece
        return Answer(answer.status, headers, body)


def request(
    port: int, method: str, target: str, headers: Iterable[Header], body: bytes = b"", *, host: str | None = None
) -> Answer:
    """A request with exactly these headers, and Host unless it is ""."""
    listed = [("Host", f"127.0.0.1:{port}" if host is None else host)] if host != "" else []
    listed += [*headers, ("Connection", "close")]
    if body or method in ("POST", "PUT", "PATCH"):
        listed.append(("Content-Length", str(len(body))))
    head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in listed) + "\r\n"
    return send(port, head.encode("latin-1") + body)
