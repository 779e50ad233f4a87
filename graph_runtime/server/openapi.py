"""The API's description, made from the table of routes: paths, messages, who may call."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from graph_runtime.server import wire
from graph_runtime.server.guard import JSON, OCTETS, Access
from graph_runtime.server.routes import Route
from graph_runtime.worker import program_version

REFERENCE = "#/components/schemas/{model}"


def describe(routes: Iterable[Route]) -> dict[str, Any]:
    """OpenAPI 3.1. `x-live` names the messages of the live connection."""
    listed = [route for route in routes if route.path.startswith(("/api", "/healthz", "/readyz", "/metrics"))]
    said: dict[type[BaseModel], Any] = {wire.Problems: "serialization", wire.Subscribe: "validation"}
    said |= dict.fromkeys(wire.LIVE, "serialization")
    for route in listed:
        if route.body is not None:
            said[route.body] = "validation"
        if isinstance(route.answer, type):
            said[route.answer] = "serialization"
    names, schemas = models_json_schema(list(said.items()), ref_template=REFERENCE)
    references = {model: names[model, mode] for model, mode in said.items()}
    paths: dict[str, dict[str, Any]] = {}
    for route in listed:
        plain = re.sub(r":[^}]*", "", route.path)
        paths.setdefault(plain, {})[route.method.lower()] = _operation(route, plain, references)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Latent Loom", "version": program_version()},
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "latentloom_<port>"},
            },
        },
        "x-live": {"path": "/api/live", "says": [references[one] for one in wire.LIVE]}
        | {"hears": [references[wire.Subscribe]]},
    }


def _operation(route: Route, path: str, references: dict[type[BaseModel], Any]) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", path)
    ]
    if route.query is not None:
        schema = route.query.model_json_schema()
        for name, one in schema["properties"].items():
            required = name in schema.get("required", ())
            parameters.append({"name": name, "in": "query", "required": required, "schema": one})
    name = f"{route.handler.__module__.rpartition('.')[2]}_{route.handler.__name__}"
    made: dict[str, Any] = {"operationId": name, "summary": (route.handler.__doc__ or "").strip().split("\n")[0]}
    made["parameters"] = parameters
    made["security"] = [] if route.policy.access is Access.OPEN else [{"bearer": []}, {"cookie": []}]
    if route.body is not None:
        made["requestBody"] = {"required": True, "content": {JSON: {"schema": references[route.body]}}}
    elif route.policy.takes == OCTETS:
        binary = {"schema": {"type": "string", "format": "binary"}}
        made["requestBody"] = {"required": True, "content": {OCTETS: binary}}
    good: dict[str, Any] = {"description": "Done."}
    if isinstance(route.answer, type):
        good["content"] = {JSON: {"schema": references[route.answer]}}
    elif "/" in route.answer:
        good["content"] = {route.answer: {}}
    wrong = {"description": "Refused.", "content": {JSON: {"schema": references[wire.Problems]}}}
    made["responses"] = {str(route.status): good, "default": wrong}
    return made
