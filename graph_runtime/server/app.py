"""The table of routes becomes an aiohttp application: every request passes the guard, every answer carries the headers.

Knows nothing of what the routes do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web
from pydantic import BaseModel

from graph_runtime.problem import Problem, Refused
from graph_runtime.server.call import Call, read_body, read_query, refusal
from graph_runtime.server.guard import Access, Denied, Policy, headers_of
from graph_runtime.server.handlers.pages import stranger
from graph_runtime.server.routes import ROUTES, Route
from graph_runtime.server.state import Server

Next = Callable[[web.Request], Awaitable[web.StreamResponse]]
STRICT = Policy()  # for what is no route


def make_app(server: Server, routes: Iterable[Route] = ROUTES) -> web.Application:
    """The application. The guard decides before anything is looked at, also where there is no route."""
    policies: dict[web.AbstractRoute, Policy] = {}

    def policy_of(request: web.Request) -> Policy:
        return policies.get(request.match_info.route, STRICT)

    @web.middleware
    async def guarded(request: web.Request, handler: Next) -> web.StreamResponse:
        policy = policy_of(request)
        try:
            server.guard.check(request, policy)
            answer = await handler(request)
        except Denied as denied:
            answer = _denial(denied, policy)
        except Refused as refused:
            answer = refusal(refused.problems)
        except web.HTTPException as error:
            answer = _no_route(request, error)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:
            server.log.error("request failed", path=request.path, error=f"{type(error).__name__}: {error}")
            what = "the request failed by a mistake of the program."
            answer = refusal([Problem("internal-error", "request", what, "Look into the log of the server.")])
        server.meters.requests.labels(str(answer.status)).inc()
        return answer

    async def dressed(request: web.Request, answer: web.StreamResponse) -> None:
        policy = policy_of(request)
        page = policy.access is Access.PAGE or request.path.startswith("/assets/")
        for name, value in headers_of(policy, page).items():
            answer.headers.setdefault(name, value)
        answer.headers.setdefault("Cache-Control", "no-store")
        answer.headers.popall("Server", None)

    app = web.Application(middlewares=[guarded], client_max_size=server.options.limits.json_body)
    app.on_response_prepare.append(dressed)
    for route in routes:
        added = app.router.add_route(route.method, route.path, _handler(server, route))
        policies[added] = route.policy
    return app


def _handler(server: Server, route: Route) -> Next:
    async def handle(request: web.Request) -> web.StreamResponse:
        body = await _body(server, request, route) if route.body is not None else None
        query = read_query(request, route.query) if route.query is not None else None
        answer = await route.handler(Call(server, request, body, query))
        if isinstance(answer, BaseModel):
            return web.Response(text=answer.model_dump_json(), content_type="application/json", status=route.status)
        made: web.StreamResponse = answer
        return made

    return handle


async def _body(server: Server, request: web.Request, route: Route) -> BaseModel:
    assert route.body is not None
    limits = server.options.limits
    try:
        async with asyncio.timeout(limits.body_seconds):
            data = await request.read()
    except web.HTTPRequestEntityTooLarge:
        what = f"it may have {limits.json_body:,} bytes."
        raise Refused(Problem("json-too-large", "body", what, "Make it smaller.")) from None
    except TimeoutError:
        raise Refused(Problem("bad-request", "body", "it came too slowly.", "Send it again.")) from None
    if len(data) > 1 << 16:
        return await server.do(lambda: read_body(data, route.body))  # type: ignore[arg-type]
    return read_body(data, route.body)


def _denial(denied: Denied, policy: Policy) -> web.StreamResponse:
    if policy.access is Access.PAGE:
        answer: web.StreamResponse = stranger(denied.status, denied.problem.what)
    else:
        answer = refusal([denied.problem], denied.status)
    if denied.status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    if denied.status == 429:
        answer.headers["Retry-After"] = "60"
    return answer


def _no_route(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    """What the router says, as a Problem."""
    if error.status == 405:
        problem = Problem("wrong-method", "request", f"{request.method} is not for this path.", "Use another method.")
    elif error.status == 404:
        problem = Problem("not-found", "request", "there is nothing at this path.", "See /api/openapi.json.")
    else:
        problem = Problem("bad-request", "request", f"{error.reason}.", "Correct the request.")
    return refusal([problem], error.status)
