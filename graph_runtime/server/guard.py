"""Who may call. Every request passes here first, whatever its route, also when there is none.

In this order, each with its own answer:

    target    begins with a slash (absolute-form targets are for proxies)                         400
    Host      exactly one, and one of the strings that mean this server; nothing is looked up     400, 421
    Origin    if there is one, exactly this server's; `null` is nobody's                          403
    Sec-Fetch-Site   if there is one, same-origin or none; from elsewhere a browser may only
              navigate to the page itself                                                         403
    token     as a Bearer or as the cookie, in constant time; on every route that is not OPEN     401, 429
    body      exactly the media type that the route takes, so that no form of a web page fits     415

`--trust-loopback` waives the token for callers on this machine and nothing else. Knows nothing of what routes do.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from aiohttp import web
from multidict import CIMultiDictProxy

from graph_runtime.problem import Problem
from graph_runtime.server.tokens import Failures, Tokens

JSON = "application/json"
OCTETS = "application/octet-stream"


class Access(Enum):
    """What a route asks of its caller."""

    TOKEN = "token"  # every route, unless it says otherwise
    PAGE = "page"  # the page itself: a browser may navigate here from anywhere; takes tickets, asks for the token
    OPEN = "open"  # anybody who passes Host and Origin: says nothing but that the server is well


@dataclass(frozen=True, slots=True)
class Policy:
    """What the guard has to know of a route. `takes` is the media type of its body, "" when it takes none."""

    access: Access = Access.TOKEN
    takes: str = ""
    content: bool = False  # answers with bytes that a user or a node made


class Denied(Exception):
    """The caller is turned away."""

    def __init__(self, status: int, code: str, what: str, fix: str) -> None:
        super().__init__(what)
        self.status, self.problem = status, Problem(code, "request", what, fix)


HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
NOTHING = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox"
PAGE = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Guard:
    """Decides on a request. One per server.

    hosts           every Host header that means this server
    scheme          "http" or "https"
    trust_loopback  callers on this machine need no token
    """

    def __init__(
        self, hosts: frozenset[str], scheme: str, tokens: Tokens, failures: Failures, *, trust_loopback: bool, port: int
    ) -> None:
        self.hosts, self.scheme, self.tokens, self.failures = hosts, scheme, tokens, failures
        self.trust_loopback = trust_loopback
        self.cookie_name = f"latentloom_{port}"  # cookies do not know ports

    def check(self, request: web.Request, policy: Policy) -> None:
        """Raises Denied."""
        self._check_target(request)
        host = self._check_host(request.headers)
        self._check_origin(request, host, policy)
        if policy.access is not Access.OPEN and not self._may_skip_ticket(request, policy):
            self._check_token(request)
        self._check_body(request, policy)

    def _check_target(self, request: web.Request) -> None:
        if not request.raw_path.startswith("/") or request.raw_path.startswith("//"):
            raise Denied(400, "bad-target", "the request names no path of this server.", "Begin it with one slash.")

    def _check_host(self, headers: CIMultiDictProxy[str]) -> str:
        given = headers.getall("Host", [])
        if len(given) != 1:
            raise Denied(400, "bad-host", f"the request has {len(given)} Host headers.", "Send one.")
        if given[0] not in self.hosts:
            what = "the Host header is none of this server's names."
            raise Denied(421, "bad-host", what, "Use the address that the server prints, or start it with --name.")
        return given[0]

    def _check_origin(self, request: web.Request, host: str, policy: Policy) -> None:
        origins = request.headers.getall("Origin", [])
        if origins and origins != [f"{self.scheme}://{host}"]:
            raise Denied(403, "bad-origin", "a page of another origin asks.", "Ask from this server's own page.")
        sites = request.headers.getall("Sec-Fetch-Site", [])
        if not sites or all(one in ("same-origin", "none") for one in sites):
            return
        navigates = (
            policy.access is Access.PAGE
            and request.method == "GET"
            and request.headers.getall("Sec-Fetch-Mode", []) == ["navigate"]
            and request.headers.getall("Sec-Fetch-Dest", []) == ["document"]
        )
        if not navigates:
            raise Denied(403, "cross-site", "a page of another site asks.", "Ask from this server's own page.")

    def _may_skip_ticket(self, request: web.Request, policy: Policy) -> bool:
        """A ticket is looked at by the page itself, which swaps it for the cookie."""
        return policy.access is Access.PAGE and "ticket" in request.query

    def _check_token(self, request: web.Request) -> None:
        given = self._credentials(request)
        if any(ok for ok in given):
            return
        if self.trust_loopback and _on_this_machine(request.remote):
            return
        # The right token is always let in: 256 bits are not guessed, and nobody shall be locked out by somebody else.
        if self.failures.too_many(request.remote or ""):
            raise Denied(429, "too-many-failures", "too many wrong tokens came from here.", "Wait a minute.")
        if given:
            self.failures.add(request.remote or "")
        what = "the token is wrong." if given else "the request has no token."
        fix = "Open the address that `latentloom serve` prints, or send the token as a Bearer."
        raise Denied(401, "no-token", what, fix)

    def _credentials(self, request: web.Request) -> list[bool]:
        """For each proof that was given, whether it holds."""
        found = []
        for header in request.headers.getall("Authorization", []):
            kind, _, value = header.partition(" ")
            found.append(kind.lower() == "bearer" and self.tokens.is_token(value.strip()))
        cookie = request.cookies.get(self.cookie_name)
        if cookie is not None:
            found.append(self.tokens.is_cookie(cookie))
        return found

    def _check_body(self, request: web.Request, policy: Policy) -> None:
        given = request.headers.getall("Content-Type", [])
        wants = request.method in ("POST", "PUT", "PATCH")
        if not wants and not given and not request.body_exists:
            return
        takes = policy.takes or JSON
        if len(given) != 1 or given[0].split(";")[0].strip().lower() != takes:
            raise Denied(415, "bad-media-type", f"this route takes {takes}.", f"Send it with Content-Type: {takes}.")

    def ticket_failed(self, request: web.Request) -> None:
        """A wrong ticket counts as a wrong token. Raises Denied when there were too many."""
        if self.failures.too_many(request.remote or ""):
            raise Denied(429, "too-many-failures", "too many wrong tokens came from here.", "Wait a minute.")
        self.failures.add(request.remote or "")


def headers_of(policy: Policy, page: bool) -> Mapping[str, str]:
    """What every answer carries. `page` when it is the editor's own page or one of its files."""
    return HEADERS | {"Content-Security-Policy": PAGE if page else NOTHING}


def _on_this_machine(address: str | None) -> bool:
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False
