"""How a server listens, and the limits it keeps. Made from flags in `cli`, and handed down.

Nothing here can be changed while the server runs.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from graph_runtime.problem import Problem, Refused

PORT = 8188


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What is taken from clients at the most. Sizes in bytes, times in seconds."""

    json_body: int = 8 << 20
    upload: int = 256 << 20
    upload_pixels: int = 64_000_000
    message: int = 1 << 20  # to the server, over a live connection
    clients: int = 64  # live connections
    outbox: int = 8 << 20  # waiting for one client
    outbox_events: int = 20_000
    failures_per_minute: int = 5  # wrong tokens from one address
    ticket_seconds: float = 60.0
    ping: float = 15.0
    upload_seconds: float = 600.0
    body_seconds: float = 30.0
    shutdown: float = 10.0  # for the runs under way to stop
    preview: int = 256 << 10


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Where to listen and for whom.

    names           further names that this server is called by, without ports
    trust_loopback  callers on this machine need no token; everything else is checked all the same
    insecure_lan    listen beyond this machine without TLS
    """

    host: str = "127.0.0.1"
    port: int = PORT
    names: tuple[str, ...] = ()
    trust_loopback: bool = False
    insecure_lan: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None
    open_browser: bool = True
    limits: ServerLimits = field(default_factory=ServerLimits)

    @property
    def loopback(self) -> bool:
        return is_loopback(self.host)

    @property
    def scheme(self) -> str:
        return "https" if self.tls_cert else "http"

    def check(self) -> None:
        """Raise Refused for a combination that would let strangers in."""
        if self.loopback:
            return
        if self.trust_loopback:
            what = f"it would go without a token on {self.host}, which other machines can reach."
            raise Refused(Problem("trust-beyond-loopback", "--trust-loopback", what, "Leave one of the two out."))
        if self.tls_cert is None and not self.insecure_lan:
            what = f"on {self.host} the token and every picture would cross the network unencrypted."
            fix = "Give --tls-cert and --tls-key, put a proxy with TLS before it, or say --insecure-lan."
            raise Refused(Problem("insecure-bind", "--host", what, fix))

    def tls(self) -> ssl.SSLContext | None:
        """The server's certificate, if it has one. Raises Refused when it cannot be used."""
        if self.tls_cert is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.tls_cert, self.tls_key)
        except (OSError, ssl.SSLError) as error:
            what, fix = f"it cannot be used: {error}.", "Give a PEM file and its key."
            raise Refused(Problem("bad-certificate", str(self.tls_cert), what, fix)) from None
        return context

    def hosts(self, port: int) -> frozenset[str]:
        """Every Host header that means this server. A set of strings: no name is ever looked up."""
        names = {"127.0.0.1", "localhost", "[::1]"} if self.loopback or _is_any(self.host) else set()
        names |= {_bracketed(name) for name in self.names}
        names |= set(_addresses()) if _is_any(self.host) else {_bracketed(self.host)}
        usual = 443 if self.tls_cert else 80
        return frozenset({f"{name.lower()}:{port}" for name in names} | ({*names} if port == usual else set()))

    def address(self, port: int) -> str:
        """What a browser on this machine is sent to, without a slash at the end."""
        host = "127.0.0.1" if _is_any(self.host) else _bracketed(self.host)
        return f"{self.scheme}://{host}:{port}"


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_any(host: str) -> bool:
    return host in ("", "0.0.0.0", "::", "[::]")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _addresses() -> list[str]:
    """This machine's own addresses."""
    found = [one for several in psutil.net_if_addrs().values() for one in several]
    wanted = (socket.AF_INET, socket.AF_INET6)
    return [_bracketed(one.address.partition("%")[0]) for one in found if one.family in wanted]
