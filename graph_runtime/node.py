"""What a node is: a typed function.

    @node("core/mix_latents", category="latent")
    def mix_latents(a: Latent, b: Latent, *, amount: Annotated[float, Knob(min=0, max=1)] = 0.5) -> Latent:
        \"\"\"Straight line from `a` (amount 0) to `b` (amount 1).

        amount: how far along the line
        \"\"\"

Parameters before the star are wires, those after it are knobs and have defaults. A parameter annotated `Context` is
given the step's context and is neither. The docstring is the help, its lines `name: text` are the fields' tooltips.

    wire annotations   a @socket class, int float str bool, Any, a union of them; `X | None = None` may be left open;
                       `list[X]` takes the whole list at once; `Lazy[X]` is computed only if `needs` names it
    knob annotations   int, float, str, bool, Literal["a", "b"], tuple[float, ...]; Annotated[T, Knob(…)] says more
    return annotation  what a wire can carry (the output is called by its type, in lower case), a NamedTuple of several,
                       list[X] for many values that what follows is run over, or None

`@node` only notes down what it was told: `definition` reads the signature when a pack is loaded, so that one wrong
annotation is a Problem of that node and the others load. Knows nothing of graphs, and never calls a node.
"""

from __future__ import annotations

import hashlib
import inspect
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from graph_runtime.context import Context, Outlook
from graph_runtime.node_def import Knob, KnobDef, NodeDef, Output, Purity, Wire
from graph_runtime.problem import Problem, Refused
from graph_runtime.sockets import PRIMITIVES, wire_type

__all__ = ["Knob", "KnobDef", "Lazy", "NodeDef", "Output", "Wire", "definition", "node"]

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

Needs = Callable[[Mapping[str, Any]], Collection[str]]
Foretells = Callable[..., Outlook]


class _LazyMark:
    """Stands in an annotation to say: compute this wire only when it is asked for."""


Lazy = Annotated[T | None, _LazyMark]
"""A wire the node may decline: None when `needs` did not name it."""


@dataclass(frozen=True, slots=True)
class _Described:
    """What `@node` was told, until the pack is loaded."""

    kind: str
    title: str
    category: str
    version: int
    purity: Purity
    output: bool
    previews: bool
    document: bool
    deprecated: str
    experimental: bool
    needs: Needs | None
    outlook: Foretells | None


def node(
    kind: str,
    *,
    title: str = "",
    category: str = "",
    version: int = 1,
    purity: Purity = "pure",
    output: bool = False,
    previews: bool = False,
    document: bool = False,
    deprecated: str = "",
    experimental: bool = False,
    needs: Needs | None = None,
    outlook: Foretells | None = None,
) -> Callable[[F], F]:
    """Make a function a node called `kind`, "pack/name".

    version     raise it when the same inputs give something else: kept results of the old one are then not used
    purity      pure: its inputs decide its result. seeded: so does its seed, which is one of them. impure: never kept.
                external: acts on the world; never kept and never retried on its own
    output      it is worth running for itself: the end of a graph
    previews    it calls `ctx.preview`: the editor keeps room on the node for what it shows
    document    it writes the workflow (`ctx.document`) into what it makes: made by other steps, it is made again
    deprecated  what to use instead
    needs       given the inputs known so far, the names of the Lazy wires it wants as well
    outlook     given the inputs by name, what there is to say of a step before it runs: `latentloom plan` asks it, so
                it loads no model and computes nothing. An open wire is None; a value may be a stand-in of its size
    """

    def describe(function: F) -> F:
        function.__node__ = _Described(  # type: ignore[attr-defined]
            kind, title, category, version, purity, output, previews, document, deprecated, experimental, needs, outlook
        )
        return function

    return describe


def definition(function: object) -> NodeDef | None:
    """The NodeDef of a function that `@node` described, or None for anything else.

    Raises Refused with every annotation that says nothing a node can use.
    """
    said = getattr(function, "__node__", None)
    if not isinstance(said, _Described) or not isinstance(function, types.FunctionType):
        return None
    reading = _Signature(function, said)
    wires, knobs, context = reading.inputs()
    outputs, named = reading.outputs()
    if reading.problems:
        raise Refused(reading.problems)
    return NodeDef(
        kind=said.kind,
        title=said.title or said.kind.rpartition("/")[2].replace("_", " ").capitalize(),
        category=said.category,
        help=reading.help,
        wires=tuple(wires),
        knobs=tuple(knobs),
        outputs=tuple(outputs),
        version=said.version,
        purity=said.purity,
        output=said.output,
        previews=said.previews,
        document=said.document,
        deprecated=said.deprecated,
        experimental=said.experimental,
        source_hash=_source_hash(function),
        function=function,
        needs=said.needs,
        outlook=said.outlook,
        context=context,
        named_outputs=named,
        returns=tuple(reading.returns),
    )


class _Signature:
    """Reads one function's signature and docstring; collects what is wrong with it."""

    def __init__(self, function: types.FunctionType, said: _Described) -> None:
        self.function, self.said = function, said
        self.place = f"{said.kind} ({function.__module__}.{function.__qualname__})"
        self.problems: list[Problem] = []
        self.returns: list[frozenset[type]] = []
        self.help, self.tooltips = read_docstring(inspect.getdoc(function) or "")
        if said.kind.count("/") != 1 or not all(part.isidentifier() for part in said.kind.split("/")):
            self.wrong("bad-kind", f"its kind {said.kind!r} is not pack/name", "Write two identifiers and one slash.")
        self.hints: dict[str, Any] | None = None
        try:
            self.hints = get_type_hints(function, include_extras=True)
        except Exception as error:  # an annotation is any expression, so it may raise anything
            self.wrong("bad-annotation", f"its annotations cannot be read: {error}", "Import or correct these names.")

    def wrong(self, code: str, what: str, fix: str, field: str = "") -> None:
        place = f"{self.place}.{field}" if field else self.place
        self.problems.append(Problem(code, place, what + ".", fix, field=field))

    def inputs(self) -> tuple[list[Wire], list[KnobDef], str]:
        """Wires, knobs, and the name of the parameter that takes the Context ("" if none)."""
        wires: list[Wire] = []
        knobs: list[KnobDef] = []
        context = ""
        if self.hints is None:
            return wires, knobs, context
        for parameter in inspect.signature(self.function).parameters.values():
            annotation = self.hints.get(parameter.name)
            if annotation is Context:
                context = parameter.name
            elif parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                self.wrong("bad-parameter", "names no single input", "Write each input out.", parameter.name)
            elif annotation is None:
                fix = f"Annotate it, e.g. `{parameter.name}: Image` or `{parameter.name}: float`."
                self.wrong("missing-annotation", "has no type", fix, parameter.name)
            elif parameter.kind is parameter.KEYWORD_ONLY:
                knobs += self.knob(parameter, annotation)
            else:
                wires += self.wire(parameter, annotation)
        return wires, knobs, context

    def wire(self, parameter: inspect.Parameter, annotation: Any) -> list[Wire]:
        annotation, extras = _unwrap(annotation)
        lazy = _LazyMark in extras
        annotation, optional = _without_none(annotation)
        many = get_origin(annotation) is list
        kind = wire_type(get_args(annotation)[0] if many else annotation)
        if kind is None:
            self.wrong(
                "bad-annotation",
                f"{_named(annotation)} is nothing a wire can carry",
                "Use a class described with @socket, int, float, str, bool or Any.",
                parameter.name,
            )
            return []
        has_default = parameter.default is not inspect.Parameter.empty
        if has_default and parameter.default is not None:
            fix = "Move it after the star, where knobs are."
            self.wrong("bad-default", "a wire has no default but None", fix, parameter.name)
        tooltip = self.tooltips.get(parameter.name, "")
        return [Wire(parameter.name, kind, has_default or (optional and not lazy), lazy, many, tooltip)]

    def knob(self, parameter: inspect.Parameter, annotation: Any) -> list[KnobDef]:
        annotation, extras = _unwrap(annotation)
        says = next((extra for extra in extras if isinstance(extra, Knob)), Knob())
        choices: Sequence[Any] = ()
        if says.file:
            kind = "FILE" if annotation is str else None
        elif get_origin(annotation) is Literal:
            kind, choices = "CHOICE", get_args(annotation)
        elif says.choices is not None and annotation is str:
            kind, choices = "CHOICE", tuple(says.choices() if callable(says.choices) else says.choices)
        elif annotation == tuple[float, ...]:
            kind = "FLOATS"
        else:
            kind = PRIMITIVES.get(annotation)
        if kind is None:
            self.wrong(
                "bad-annotation",
                f"{_named(annotation)} is nothing a knob can be",
                "Use int, float, str, bool, Literal[…] or tuple[float, ...]; what comes by wire goes before the star.",
                parameter.name,
            )
            return []
        if parameter.default is inspect.Parameter.empty:
            self.wrong("missing-default", "a knob has no default", f"Write `{parameter.name}: … = …`.", parameter.name)
            return []
        knob = KnobDef.of(parameter.name, kind, parameter.default, says, choices, self.tooltips.get(parameter.name, ""))
        reason = knob.refuses(knob.default)
        if reason:
            self.wrong("bad-default", f"its default {reason}", "Give one that the knob accepts.", parameter.name)
        return [knob]

    def outputs(self) -> tuple[list[Output], bool]:
        """The outputs, and whether the function returns them as a tuple."""
        if self.hints is None:
            return [], False
        if "return" not in self.hints:
            fix = "Annotate the return, `-> None` if there is nothing."
            self.wrong("missing-annotation", "says nothing of what it returns", fix)
            return [], False
        returned = self.hints["return"]
        if returned in (None, type(None)):
            return [], False
        fields = getattr(returned, "_fields", None)
        if isinstance(returned, type) and issubclass(returned, tuple) and fields:
            hints = get_type_hints(returned, include_extras=True)
            return [output for name in fields for output in self.one_output(name, hints[name])], True
        return self.one_output("", returned), False

    def one_output(self, name: str, annotation: Any) -> list[Output]:
        annotation, _ = _unwrap(annotation)
        annotation, optional = _without_none(annotation)
        many = get_origin(annotation) is list
        each = get_args(annotation)[0] if many else annotation
        kind = wire_type(each)
        if kind is None:
            self.wrong(
                "bad-annotation",
                f"returns {_named(annotation)}, which no wire can carry",
                "Return a class described with @socket, a primitive, a NamedTuple or a list of them, or None.",
                name,
            )
            return []
        name = name or kind.split("|")[0].lower()
        self.returns.append(_classes(each, optional))
        return [Output(name, kind, many, self.tooltips.get(name, ""))]


def read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """The help, and each field's tooltip: lines `name: text` after the first paragraph, continued by indentation."""
    first, _, rest = text.strip().partition("\n\n")
    paragraphs, field = [first], ""
    tooltips: dict[str, str] = {}
    for line in rest.splitlines():
        name, colon, said = line.partition(":")
        if field and line[:1].isspace() and line.strip():
            tooltips[field] += " " + line.strip()
        elif colon and name.isidentifier():
            field, tooltips[name] = name, said.strip()
        else:
            field = ""
            paragraphs.append(line)
    return "\n".join(paragraphs).strip(), tooltips


def _unwrap(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    if get_origin(annotation) is Annotated:
        inner, *extras = get_args(annotation)
        return inner, tuple(extras)
    return annotation, ()


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) in (Union, types.UnionType):
        parts = [part for part in get_args(annotation) if part is not type(None)]
        if len(parts) < len(get_args(annotation)):
            return Union[tuple(parts)], True  # noqa: UP007 (made from a tuple)
    return annotation, False


def _classes(annotation: Any, optional: bool) -> frozenset[type]:
    """What a value of this annotation is an instance of; empty when it may be anything."""
    parts = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    if Any in parts:
        return frozenset()
    return frozenset((*parts, type(None)) if optional else parts)


def _named(annotation: Any) -> str:
    return annotation.__qualname__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")


def _source_hash(function: types.FunctionType) -> str:
    """Changes when the function's text does; "" where there is no text."""
    try:
        return hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:16]
    except (OSError, TypeError):
        return ""
