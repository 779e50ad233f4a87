"""Answers what ComfyUI's front end asks at its start, so that it can be measured without ComfyUI. Nothing runs here.

    pip download --no-deps comfyui-frontend-package; unzip it
    python bench/comfy_stub.py FOLDER/comfyui_frontend_package/static PORT

Knows the six nodes that the bench's workflows are made of, with the inputs that ComfyUI gives them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

SAMPLERS = ["euler", "euler_ancestral", "heun", "dpmpp_2m", "ddim", "uni_pc"]
SCHEDULERS = ["simple", "normal", "karras", "beta"]


def node(name: str, title: str, required: dict[str, Any], outputs: list[str], output: bool = False) -> dict[str, Any]:
    return {
        "input": {"required": required, "hidden": {}},
        "input_order": {"required": list(required), "hidden": []},
        "output": outputs,
        "output_is_list": [False] * len(outputs),
        "output_name": outputs,
        "name": name,
        "display_name": title,
        "description": "",
        "python_module": "nodes",
        "category": "bench",
        "output_node": output,
        "deprecated": False,
        "experimental": False,
    }


def whole(value: int, low: int = 0, high: int = 16384) -> list[Any]:
    return ["INT", {"default": value, "min": low, "max": high}]


def real(value: float, high: float = 100.0) -> list[Any]:
    return ["FLOAT", {"default": value, "min": 0.0, "max": high, "step": 0.01}]


NODES = {
    one["name"]: one
    for one in (
        node("CheckpointLoaderSimple", "Load Checkpoint", {"ckpt_name": [["flux1"], {}]}, ["MODEL", "CLIP", "VAE"]),
        node(
            "CLIPTextEncode",
            "CLIP Text Encode (Prompt)",
            {"text": ["STRING", {"multiline": True}], "clip": ["CLIP", {}]},
            ["CONDITIONING"],
        ),
        node(
            "EmptyLatentImage",
            "Empty Latent Image",
            {"width": whole(512, 16), "height": whole(512, 16), "batch_size": whole(1, 1, 4096)},
            ["LATENT"],
        ),
        node(
            "KSampler",
            "KSampler",
            {
                "model": ["MODEL", {}],
                "seed": ["INT", {"default": 0, "min": 0, "max": 2**53, "control_after_generate": True}],
                "steps": whole(20, 1, 10000),
                "cfg": real(8.0),
                "sampler_name": [SAMPLERS, {}],
                "scheduler": [SCHEDULERS, {}],
                "positive": ["CONDITIONING", {}],
                "negative": ["CONDITIONING", {}],
                "latent_image": ["LATENT", {}],
                "denoise": real(1.0, 1.0),
            },
            ["LATENT"],
        ),
        node("VAEDecode", "VAE Decode", {"samples": ["LATENT", {}], "vae": ["VAE", {}]}, ["IMAGE"]),
        node(
            "SaveImage",
            "Save Image",
            {"images": ["IMAGE", {}], "filename_prefix": ["STRING", {"default": "ComfyUI"}]},
            [],
            True,
        ),
    )
}

STATS = {
    "system": {
        "os": "posix",
        "python_version": "3.11",
        "embedded_python": False,
        "comfyui_version": "0.3.64",
        "pytorch_version": "2",
        "argv": [],
        "ram_total": 1,
        "ram_free": 1,
    },
    "devices": [],
}
# What is asked for by GET, without a leading /api.
ANSWERS: dict[str, Any] = {
    "/object_info": NODES,
    "/system_stats": STATS,
    "/settings": {"Comfy.TutorialCompleted": True, "Comfy.Workflow.ShowMissingModelsWarning": False},
    "/users": {"storage": "server", "migrated": True},
    "/queue": {"queue_running": [], "queue_pending": []},
    "/history": {},
    "/extensions": [],
    "/embeddings": [],
    "/features": {},
    "/i18n": {},
    "/workflow_templates": {},
    "/experiment/models": [],
    "/jobs": {"jobs": [], "pagination": {"offset": 0, "limit": 0, "total": 0, "has_more": False}},
    "/node_replacements": {},
    "/global_subgraphs": {},
    "/userdata": [],
    "/prompt": {"exec_info": {"queue_remaining": 0}},
}


async def live(request: web.Request) -> web.WebSocketResponse:
    """The socket that says: nothing runs."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    status = {"status": {"exec_info": {"queue_remaining": 0}}, "sid": "bench"}
    await socket.send_str(json.dumps({"type": "status", "data": status}))
    async for message in socket:
        if message.type is WSMsgType.ERROR:
            break
    return socket


def answering(folder: Path) -> Any:
    async def answer(request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix("/api")
        if request.method != "GET":
            return web.json_response({})
        if request.path.startswith("/api"):
            known = ANSWERS.get(path)
            return web.json_response(known) if known is not None else web.Response(status=404)
        file = folder / path.lstrip("/")
        if file.is_file() and folder in file.resolve().parents:
            return web.FileResponse(file)
        return web.FileResponse(folder / "index.html") if path == "/" else web.Response(status=404)

    return answer


def main() -> None:
    folder, port = Path(sys.argv[1]).resolve(), int(sys.argv[2])
    app = web.Application()
    app.router.add_get("/ws", live)
    app.router.add_route("*", "/{path:.*}", answering(folder))
    web.run_app(app, host="127.0.0.1", port=port, print=None)


if __name__ == "__main__":
    main()
