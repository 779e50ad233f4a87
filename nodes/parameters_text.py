"""A picture's settings in words → a workflow: the text `parameters` that stable-diffusion-webui and its kin write.

    a cat, <lora:ink:0.7>
    Negative prompt: blurry
    Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 12, Size: 512x768, Model: dreamlike, …

What has a place in our workflow is put there; everything else is listed in a note on the canvas, so that nobody thinks
it was understood. The form is that of its own reader: settings are the last line, `key: value` between commas, a value
with a comma in it in quotes. `nodes.provenance` writes the same form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

from nodes.models.sampling.solvers import SOLVERS
from nodes.picture import read_texts
from nodes.picture import read_workflow as carried

KEY = "parameters"
NEGATIVE = "Negative prompt:"
SETTING = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
LORA = re.compile(r"<lora:([^:<>]+)(?::(-?[\d.]+))?[^<>]*>")
FEWEST = 3  # settings in a line for it to be one of settings, as its own reader has it
LONGEST = 60  # characters of a value in the report

# Their samplers, in small letters, that are one of our solvers: with the same formula, or as near as there is.
SAMPLERS = {
    "euler": "euler",
    "euler a": "euler_ancestral",
    "euler ancestral": "euler_ancestral",
    "heun": "heun",
    "lcm": "lcm",
    "unipc": "unipc",
    "dpm++ 2m": "dpmpp_2m",
}
SCHEDULES = frozenset({"simple", "normal", "beta", "karras", "exponential", "sigmoid"})
USUAL = ("", "auto", "automatic")  # what leaves a choice to the model
OURS = "Latent Loom"  # as `nodes.provenance` signs


@dataclass
class Said:
    """A text taken apart."""

    prompt: str = ""
    negative: str = ""
    settings: dict[str, str] = field(default_factory=dict)


def read_workflow(path: Path) -> dict[str, Any] | None:
    """The workflow in a picture, else one from its settings in words; None without either. Refused if no picture."""
    found = carried(path)
    if found is not None:
        return found
    text = read_texts(path).get(KEY, "")
    said = parse(text)
    return workflow_of(said) if said.settings else None


def parse(text: str) -> Said:
    """Prompt, negative prompt and settings; no settings if there is no line of them."""
    lines = text.strip().split("\n")
    settings = {key.strip(): _unquoted(value) for key, value in SETTING.findall(lines[-1])}
    if len(settings) < FEWEST:
        settings = {}
    else:
        lines.pop()
    said = Said(settings=settings)
    at_negative, prompt, negative = False, [], []
    for line in lines:
        if line.strip().startswith(NEGATIVE):
            at_negative, line = True, line.strip()[len(NEGATIVE) :]
        (negative if at_negative else prompt).append(line.strip())
    said.prompt, said.negative = "\n".join(prompt).strip(), "\n".join(negative).strip()
    return said


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == '"':
        try:
            return str(json.loads(value))
        except ValueError:
            return value
    return value.strip()


def workflow_of(said: Said) -> dict[str, Any]:
    """A text-to-image workflow with what was said, and a note about the rest."""
    report = _Report(dict(said.settings))
    loras = [(name, _number(strength, 1.0)) for name, strength in LORA.findall(said.prompt)]
    prompt, negative = (LORA.sub("", text).strip().strip(",").strip() for text in (said.prompt, said.negative))
    if re.search(r"\([^()]*:-?[\d.]+\)|\[[^\]]*:[^\]]*\]|\bBREAK\b", prompt + negative):
        report.add("Weights and switches in the prompt, like (word:1.2), are read as plain words.")
    steps: dict[str, Any] = {}
    model = _model(report)
    steps["model"] = _step("core/load_checkpoint", 0, 0, file=model) if model else _step("core/load_checkpoint", 0, 0)
    source = ("model", "model"), ("model", "text_encoder")
    for number, (name, strength) in enumerate(loras):
        id = f"lora_{number + 1}"
        joins = {"model": _join(*source[0]), "text_encoder": _join(*source[1])}
        values = {"file": f"{name}.safetensors", "strength": strength, "text_strength": strength}
        steps[id] = _step("core/apply_lora", 360 * (number + 1), 0, **joins, **values)
        source = (id, "model"), (id, "text_encoder")
    left = 360 * (len(loras) + 1)
    for id, text, top in (("prompt", prompt, -140), ("negative", negative, 220)):
        steps[id] = _step("core/encode_text", left, top, text_encoder=_join(*source[1]), prompt=text)
        steps[id]["title"] = id.capitalize()
    steps["size"] = _step("core/empty_latent", left, 580, model=_join(*source[0]), **_size(report))
    joins = {"model": _join(*source[0]), "positive": _join("prompt", "conditioning")}
    joins |= {"negative": _join("negative", "conditioning"), "latent": _join("size", "latent")}
    steps["paint"] = _step("core/sample", left + 360, 0, **joins, **dict(_sampling(report, bool(negative))))
    vae = _join("model", "vae")
    steps["decode"] = _step("core/decode", left + 720, 0, latent=_join("paint", "latent"), vae=vae)
    steps["save"] = _step("core/save_image", left + 1080, 0, image=_join("decode", "image"))
    note = {"id": "report", "text": report.text(), "position": [0, -420], "size": [320, 300]}
    return {
        "format": "latentloom",
        "version": 1,
        "migrations": [],
        "title": "",
        "steps": steps,
        "targets": [],
        "groups": [],
        "notes": [note],
    }


class _Report:
    """What was said and is not in the workflow."""

    def __init__(self, settings: dict[str, str]) -> None:
        self.settings = settings
        self.lines: list[str] = []

    def take(self, key: str) -> str:
        return self.settings.pop(key, "")

    def add(self, line: str) -> None:
        self.lines.append(line)

    def text(self) -> str:
        """Markdown. The settings that nobody took are listed as they were."""
        for key, value in self.settings.items():
            if key == "Version":
                continue
            shown = value if len(value) <= LONGEST else value[: LONGEST - 1] + "…"
            self.lines.append(f"`{key}: {shown.replace('`', '’')}`")
        if not self.lines:
            return "**Made from settings in words.** All of them have a place here."
        listed = "\n".join(f"- {line}" for line in self.lines)
        return f"**Made from settings in words.** Not understood, or not the same here:\n\n{listed}"


def _step(kind: str, x: int, y: int, **inputs: Any) -> dict[str, Any]:
    return {"kind": kind, "inputs": inputs, "position": [x, y]}


def _join(step: str, output: str) -> dict[str, list[str]]:
    return {"join": [step, output]}


def _number(text: str, usual: float) -> float:
    try:
        return float(text)
    except ValueError:
        return usual


def _model(report: _Report) -> str:
    """The checkpoint's name as a file would be called, without its folder; "" if none is said."""
    said = report.take("Model")
    if report.settings.get("Version") == OURS:
        return said
    name = PureWindowsPath(said).name
    mark = report.take("Model hash")
    if name and mark:
        report.add(f"The model's hash was `{mark}`: of what is here, compare it yourself.")
    return name if not name or re.search(r"\.(safetensors|sft|gguf)$", name) else f"{name}.safetensors"


def _size(report: _Report) -> dict[str, int]:
    said = report.take("Size")
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", said)
    if found is None:
        if said:
            report.add(f"The size `{said[:LONGEST]}` is no width and height.")
        return {}
    return {"width": int(found[1]), "height": int(found[2])}


def _sampling(report: _Report, negative: bool) -> Iterator[tuple[str, Any]]:
    """Knobs of `core/sample`, by name."""
    for key, knob, kind in (("Seed", "seed", int), ("Steps", "steps", int), ("Denoising strength", "denoise", float)):
        said = report.take(key)
        if not said:
            continue
        try:
            yield knob, kind(said)
        except ValueError:
            report.add(f"`{key}: {said[:LONGEST]}` is no number.")
    for key, knob in (("CFG scale", "true_cfg"), ("Distilled CFG Scale", "guidance")):
        said = report.take(key)
        if said and _number(said, -1) >= 0:
            yield knob, _number(said, -1)
    yield from _method(report)
    if not negative:
        report.add("There was no negative prompt; an empty one is used.")


def _method(report: _Report) -> Iterator[tuple[str, str]]:
    """Solver and schedule; older texts name both at once, "DPM++ 2M Karras"."""
    sampler, schedule = report.take("Sampler"), report.take("Schedule type")
    words = sampler.lower()
    for name in SCHEDULES:
        if words.endswith(f" {name}"):
            words, schedule = words.removesuffix(f" {name}"), schedule or name
    if words in SAMPLERS or words in SOLVERS:
        yield "solver", SAMPLERS.get(words, words)
    elif words not in USUAL:
        report.add(f"The sampler `{sampler[:LONGEST]}` is none of ours; the model's usual one is used.")
    if schedule.lower() in SCHEDULES:
        yield "schedule", schedule.lower()
    elif schedule.lower() not in USUAL:
        report.add(f"The schedule `{schedule[:LONGEST]}` is none of ours; the model's usual one is used.")
