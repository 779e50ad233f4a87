"""A node as plain data: what the palette, the validator and the keys know of it.

A worker says hello with these as JSON; only in the worker does a NodeDef also hold its function. The browser draws them
and knows no node by name. Knows nothing of signatures: `graph_runtime.node` makes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any, Literal

Purity = Literal["pure", "seeded", "impure", "external"]
KnobType = Literal["INT", "FLOAT", "STRING", "BOOLEAN", "CHOICE", "FILE", "FLOATS"]

# The wire type that may feed a knob of each type.
_FED_BY = {"CHOICE": "STRING", "FILE": "STRING", "FLOATS": "SIGMAS"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Knob:
    """What an annotation says of a knob beyond its type: `Annotated[float, Knob(min=0, max=1)]`.

    min, max    both allowed values; step is what one notch of the widget changes
    auto        the number that leaves the choice to the node; the editor shows it as "auto"
    choices     what a string may be, or a function that gives it when the pack is loaded
    multiline   a string is text of several lines
    seed        an integer is a seed: the editor offers random, fixed, increment
    file        a string names a file of this kind: "image", "checkpoint", "lora", "latent", "conditioning", …
    slider, color   how the editor shows a number or a string
    advanced    folded away until asked for
    label       what the editor calls it, instead of its name
    widget      the pack's own widget for it, "pack.name", as its manifest calls it; "" for the usual one
    """

    min: float | None = None
    max: float | None = None
    step: float | None = None
    choices: Sequence[str] | Callable[[], Sequence[str]] | None = None
    multiline: bool = False
    seed: bool = False
    file: str = ""
    slider: bool = False
    color: bool = False
    advanced: bool = False
    label: str = ""
    auto: float | None = None
    widget: str = ""


@dataclass(frozen=True, slots=True)
class Wire:
    """An input that comes from another step. `many` takes the whole list; `lazy` is computed only if the node asks."""

    name: str
    type: str
    optional: bool = False
    lazy: bool = False
    many: bool = False
    help: str = ""


@dataclass(frozen=True, slots=True)
class KnobDef:
    """An input with a value of its own. It may be fed by a wire all the same."""

    name: str
    type: KnobType
    default: Any
    min: float | None = None
    max: float | None = None
    step: float | None = None
    choices: tuple[Any, ...] = ()
    multiline: bool = False
    seed: bool = False
    file: str = ""
    slider: bool = False
    color: bool = False
    advanced: bool = False
    label: str = ""
    help: str = ""
    auto: float | None = None
    widget: str = ""

    @classmethod
    def of(cls, name: str, kind: Any, default: Any, says: Knob, choices: Sequence[Any], help: str) -> KnobDef:
        return cls(
            name, kind, default, says.min, says.max, says.step, tuple(choices), says.multiline, says.seed, says.file,
            says.slider, says.color, says.advanced, says.label, help, says.auto, says.widget,
        )  # fmt: skip

    @property
    def wire_type(self) -> str:
        """The type of wire that may feed it."""
        return _FED_BY.get(self.type, self.type)

    def refuses(self, value: Any) -> str:
        """Why `value` cannot be this knob's, as the rest of a sentence; "" if it can.

        A float that is whole is an integer (20.0 is 20), an integer is a float; True is neither.
        """
        match self.type:
            case "INT":
                if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1:
                    return f"is {value!r}, not a whole number"
                return self._out_of_range(value)
            case "FLOAT":
                if isinstance(value, bool) or not isinstance(value, (int, float)):
                    return f"is {value!r}, not a number"
                return f"is {value!r}, not finite" if not math.isfinite(value) else self._out_of_range(value)
            case "BOOLEAN":
                return "" if isinstance(value, bool) else f"is {value!r}, neither true nor false"
            case "CHOICE":
                return "" if value in self.choices else f"is {value!r}, not one of {', '.join(map(repr, self.choices))}"
            case "FLOATS":
                if not isinstance(value, (list, tuple)):
                    return f"is {value!r}, not a list of numbers"
                bad = [v for v in value if not _is_finite(v)]
                return f"has {bad[0]!r} in it, which is not a finite number" if bad else ""
            case _:
                return "" if isinstance(value, str) else f"is {value!r}, not text"

    def _out_of_range(self, value: float) -> str:
        if self.min is not None and value < self.min:
            return f"is {value:g}, less than {self.min:g}"
        if self.max is not None and value > self.max:
            return f"is {value:g}, more than {self.max:g}"
        return ""

    def normalised(self, value: Any) -> Any:
        """The one form of an accepted value: 20 and 20.0 are the same float, a list of floats is a tuple."""
        match self.type:
            case "INT":
                return int(value)
            case "FLOAT":
                return float(value)
            case "FLOATS":
                return tuple(float(v) for v in value)
            case _:
                return value


@dataclass(frozen=True, slots=True)
class Output:
    """What a node gives. `many` is a list: what follows runs once for each of its values."""

    name: str
    type: str
    many: bool = False
    help: str = ""


@dataclass(frozen=True)
class NodeDef:
    """One kind of node. Equal on both sides of a process border, but for its function."""

    kind: str
    title: str = ""
    category: str = ""
    help: str = ""
    wires: tuple[Wire, ...] = ()
    knobs: tuple[KnobDef, ...] = ()
    outputs: tuple[Output, ...] = ()
    version: int = 1
    purity: Purity = "pure"
    output: bool = False
    previews: bool = False  # it shows where it is going: the editor keeps room for that on the node
    deprecated: str = ""
    experimental: bool = False
    source_hash: str = ""
    # Only where the node can run:
    function: Callable[..., Any] | None = field(default=None, compare=False, repr=False)
    needs: Callable[[Mapping[str, Any]], Any] | None = field(default=None, compare=False, repr=False)
    outlook: Callable[..., Any] | None = field(default=None, compare=False, repr=False)
    context: str = field(default="", compare=False)  # the parameter that takes the Context
    document: bool = field(default=False, compare=False)  # it writes the workflow into what it makes
    named_outputs: bool = field(default=False, compare=False)  # it returns a NamedTuple
    returns: tuple[frozenset[type], ...] = field(default=(), compare=False, repr=False)  # of each output; empty is any

    @property
    def pack(self) -> str:
        return self.kind.partition("/")[0]

    @cached_property
    def _by_name(self) -> dict[str, Wire | KnobDef]:
        return {wire.name: wire for wire in self.wires} | {knob.name: knob for knob in self.knobs}

    @cached_property
    def lazy(self) -> frozenset[str]:
        """The wires that are computed only if the node asks for them."""
        return frozenset(wire.name for wire in self.wires if wire.lazy)

    @cached_property
    def _outputs_by_name(self) -> dict[str, Output]:
        return {one.name: one for one in self.outputs}

    def input(self, name: str) -> Wire | KnobDef | None:
        return self._by_name.get(name)

    def output_named(self, name: str) -> Output | None:
        return self._outputs_by_name.get(name)

    def as_json(self) -> dict[str, Any]:
        """Plain data for the wire: everything but the function."""
        local = {"function", "needs", "outlook", "context", "document", "named_outputs", "returns"}
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in local}
        for name in ("wires", "knobs", "outputs"):
            plain[name] = [asdict(one) for one in plain[name]]
        return plain

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> NodeDef:
        """The NodeDef that `as_json` wrote, without its function."""
        plain = dict(data)
        plain["wires"] = tuple(Wire(**one) for one in data["wires"])
        plain["knobs"] = tuple(_knob_from_json(one) for one in data["knobs"])
        plain["outputs"] = tuple(Output(**one) for one in data["outputs"])
        return cls(**plain)


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _knob_from_json(data: Mapping[str, Any]) -> KnobDef:
    default = tuple(data["default"]) if data["type"] == "FLOATS" else data["default"]
    return KnobDef(**{**data, "choices": tuple(data["choices"]), "default": default})
