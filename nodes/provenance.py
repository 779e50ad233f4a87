"""What a saved file says about how it was made: the workflow, and its settings in words.

    none         nothing
    parameters   one text as image sites read it: prompt, negative prompt, steps, seed, …
    full         that, the workflow (`latentloom`), and the same in ComfyUI's two forms (`prompt`, `workflow`)

Whole paths never enter a file: a name alone stays, and the home folder becomes "~". Knows the document as plain JSON
and the kinds of a few built-in nodes; knows no picture format.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Literal

from nodes.picture import OURS

Metadata = Literal["full", "parameters", "none"]
Slot = Callable[[str, str], int]  # kind and name of an output → its number, as ComfyUI counts

# What is said of a step's inputs, in the order and the words that readers of such texts know.
SETTINGS = {
    "steps": "Steps",
    "solver": "Sampler",
    "schedule": "Schedule type",
    "true_cfg": "CFG scale",
    "guidance": "Distilled CFG Scale",
    "seed": "Seed",
    "denoise": "Denoising strength",
}


def texts(document: Mapping[str, Any] | None, step: str, mode: Metadata, slot: Slot) -> dict[str, str]:
    """The texts to put into a file that `step` saves; {} for none."""
    if mode == "none" or not document or not isinstance(document.get("steps"), Mapping):
        return {}
    clean = without_paths(document)
    if not all(_is_step(step) for step in clean["steps"].values()):  # nobody has opened it: nobody can, later
        return {}
    found = {"parameters": parameters(clean, step)}
    if mode == "full":
        found |= {OURS: _compact(clean), "prompt": _compact(comfy_prompt(clean, slot))}
        found["workflow"] = _compact(comfy_workflow(clean, slot))
    return {key: text for key, text in found.items() if text}


def _is_step(step: Any) -> bool:
    return isinstance(step, Mapping) and all(
        isinstance(step.get(name, usual()), usual) for name, usual in (("kind", str), ("inputs", dict))
    )


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def without_paths(value: Any) -> Any:
    """Plain data with every whole path cut down to its name, and the home folder's path nowhere in it."""
    if isinstance(value, Mapping):
        return {without_paths(str(key)): without_paths(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_paths(one) for one in value]
    if not isinstance(value, str):
        return value
    if "\n" not in value and len(value) < 4096:
        for flavour in (PurePosixPath, PureWindowsPath):
            path = flavour(value)
            if path.is_absolute() and path.name:
                return path.name
    home = str(Path.home())
    return value.replace(home, "~") if len(home) > 1 else value


def _join(value: Any) -> tuple[str, str] | None:
    """Step and output of {"join": [step, output]}, or None for anything else."""
    if (
        isinstance(value, Mapping)
        and set(value) == {"join"}
        and isinstance(value["join"], (list, tuple))
        and len(value["join"]) == 2
    ):
        step, output = value["join"]
        return str(step), str(output)
    return None


def _upstream(steps: Mapping[str, Any], start: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The steps that `start` needs, nearest first, with their inputs."""
    seen, waiting = {start}, [start]
    while waiting:
        step = steps.get(waiting.pop(0))
        if not isinstance(step, Mapping):
            continue
        inputs = step.get("inputs", {})
        yield str(step.get("kind", "")), inputs
        for value in inputs.values():
            for one in value if isinstance(value, (list, tuple)) else (value,):
                join = _join(one)
                if join and join[0] not in seen:
                    seen.add(join[0])
                    waiting.append(join[0])


def _prompt_of(steps: Mapping[str, Any], value: Any) -> str:
    """The first prompt that leads to an input."""
    join = _join(value)
    if not join:
        return ""
    prompts = (inputs["prompt"] for _, inputs in _upstream(steps, join[0]) if isinstance(inputs.get("prompt"), str))
    return next(prompts, "")


def parameters(document: Mapping[str, Any], step: str) -> str:
    """Prompt, negative prompt and settings of the sampler nearest to `step`, one line each; "" if there is none."""
    steps = document["steps"]
    sampler = next((inputs for kind, inputs in _upstream(steps, step) if kind == "core/sample"), None)
    if sampler is None:
        return ""
    lines = [_prompt_of(steps, sampler.get("positive"))]
    negative = _prompt_of(steps, sampler.get("negative"))
    if negative:
        lines.append(f"Negative prompt: {negative}")
    said = [
        f"{words}: {sampler[name]}"
        for name, words in SETTINGS.items()
        if isinstance(sampler.get(name), (int, float, str))
    ]
    latent = next((inputs for kind, inputs in _upstream(steps, step) if kind == "core/empty_latent"), {})
    if isinstance(latent.get("width"), int) and isinstance(latent.get("height"), int):
        said.append(f"Size: {latent['width']}x{latent['height']}")
    models = (
        inputs["file"] for kind, inputs in _upstream(steps, step) if kind.startswith("core/load_") and "file" in inputs
    )
    model = next((name for name in models if isinstance(name, str)), "")
    said += [f"Model: {model}"] if model else []
    return "\n".join([*lines, ", ".join([*said, "Version: Latent Loom"])])


def comfy_prompt(document: Mapping[str, Any], slot: Slot) -> dict[str, Any]:
    """The graph as ComfyUI's API writes it: {id: {"class_type", "inputs"}}, a join as [id, number of the output]."""

    def written(value: Any) -> Any:
        join = _join(value)
        if join:
            return [join[0], slot(str(document["steps"].get(join[0], {}).get("kind", "")), join[1])]
        return [written(one) for one in value] if isinstance(value, (list, tuple)) else value

    return {
        id: {
            "class_type": step.get("kind", ""),
            "inputs": {name: written(value) for name, value in step.get("inputs", {}).items()},
            "_meta": {"title": step.get("title") or step.get("kind", "")},
        }
        for id, step in document["steps"].items()
    }


def comfy_workflow(document: Mapping[str, Any], slot: Slot) -> dict[str, Any]:
    """The graph as ComfyUI's editor writes it: nodes with numbers, places and widgets, and links between them."""
    numbers = {id: number for number, id in enumerate(document["steps"], 1)}
    nodes: list[dict[str, Any]] = []
    links: list[list[Any]] = []
    for id, step in document["steps"].items():
        inputs, widgets = [], []
        for name, value in step.get("inputs", {}).items():
            for one in value if isinstance(value, list) and any(map(_join, value)) else (value,):
                join = _join(one)
                if not join or join[0] not in numbers:
                    widgets.append(one)
                    continue
                from_slot = slot(str(document["steps"][join[0]].get("kind", "")), join[1])
                links.append([len(links) + 1, numbers[join[0]], from_slot, numbers[id], len(inputs), "*"])
                inputs.append({"name": name, "type": "*", "link": len(links)})
        place = step.get("position")
        nodes.append(
            {
                "id": numbers[id],
                "type": step.get("kind", ""),
                "pos": list(place) if isinstance(place, (list, tuple)) else [0, 0],
                "inputs": inputs,
                "outputs": [],
                "widgets_values": widgets,
            }
        )
    last = {"last_node_id": len(nodes), "last_link_id": len(links), "version": 0.4}
    return last | {"nodes": nodes, "links": links, "groups": []}
