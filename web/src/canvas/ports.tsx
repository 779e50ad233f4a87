/**
 * Inside a subgraph: its inputs and outputs as those who use it see them, at the canvas' sides. A wire let go over one of
 * them publishes the end that it comes from; they are renamed, put in order and taken away here.
 */

import { ChevronDown, ChevronUp, X } from "lucide-react";
import { memo, useRef } from "react";
import { useStore } from "zustand";
import { addPort, leadPort, movePort, removePort, renamePort } from "../core/commands";
import { definitionAt } from "../core/document";
import { placeOf } from "../core/flatten";
import type { Port } from "../core/types";
import { t } from "../ui/text";
import { useStage, useUi } from "./context";
import "./ports.css";
import { socketStyle } from "./socket_style";
import type { Pending, Stage } from "./stage";
import { readable } from "./words";

type Side = "inputs" | "outputs";

export function Ports() {
  const stage = useStage();
  const inside = useStore(stage.stores.view, ({ path }) => path.length > 0);
  const there = useStore(stage.changes, () => inside && definitionAt(stage.stores.document.getState(), stage.path));
  if (!there) return null;
  return (
    <>
      <PortList side="inputs" ports={there.inputs} id={there.id} />
      <PortList side="outputs" ports={there.outputs} id={there.id} />
    </>
  );
}

const PortList = memo(function PortList({ side, ports, id }: { side: Side; ports: readonly Port[]; id: string }) {
  const stage = useStage();
  const readOnly = useStore(stage.stores.view, (view) => view.readOnly);
  const wanted = useUi(({ pending }) => pending !== null && publishes(pending, side));
  return (
    <section
      className={`ll-ports ll-ports-${side}`}
      data-over=""
      data-ports={side}
      data-wanted={wanted || undefined}
      aria-label={t(`ports.${side}`)}
    >
      <h3>{t(`ports.${side}`)}</h3>
      <ul>
        {ports.map((port, at) => (
          <PortRow key={port.name} side={side} port={port} at={at} last={at === ports.length - 1} id={id} />
        ))}
      </ul>
      {!readOnly && (
        <button type="button" className="ll-publish" disabled={!wanted} onClick={() => publishPending(stage, side, "")}>
          {t(ports.length ? "ports.publish" : `ports.none-${side}`)}
        </button>
      )}
    </section>
  );
});

function PortRow({ side, port, at, last, id }: { side: Side; port: Port; at: number; last: boolean; id: string }) {
  const stage = useStage();
  const readOnly = useStore(stage.stores.view, (view) => view.readOnly);
  const name = readable(port.name);
  const { color } = socketStyle(port.type, stage.scene.palette);
  const ends = port.inner.map(([step, end]) => `${titleOf(stage, step)}: ${readable(placeOf(end).input)}`).join(", ");
  const move = (to: number) => stage.run(movePort(id, side, at, to));
  return (
    <li data-port={port.name} title={ends}>
      <i style={{ background: color }} />
      <PortName key={port.name} side={side} port={port} id={id} readOnly={readOnly} />
      {!readOnly && (
        <>
          <button type="button" aria-label={t("ports.up", { name })} disabled={at === 0} onClick={() => move(at - 1)}>
            <ChevronUp size={13} aria-hidden="true" />
          </button>
          <button type="button" aria-label={t("ports.down", { name })} disabled={last} onClick={() => move(at + 1)}>
            <ChevronDown size={13} aria-hidden="true" />
          </button>
          <button
            type="button"
            aria-label={t("ports.remove", { name })}
            onClick={() => stage.run(removePort(id, side, port.name))}
          >
            <X size={13} aria-hidden="true" />
          </button>
        </>
      )}
      <span className="ll-port-ends">{ends}</span>
    </li>
  );
}

function PortName({ side, port, id, readOnly }: { side: Side; port: Port; id: string; readOnly: boolean }) {
  const stage = useStage();
  const input = useRef<HTMLInputElement>(null);
  const done = () => {
    const field = input.current;
    if (!field) return;
    const to = field.value.trim();
    const taken = definitionAt(stage.stores.document.getState(), [id])?.[side].some((one) => one.name === to);
    if (!to || taken) field.value = port.name;
    else stage.run(renamePort(id, side, port.name, to));
  };
  return (
    <input
      ref={input}
      aria-label={t("ports.name", { name: readable(port.name) })}
      defaultValue={port.name}
      readOnly={readOnly}
      onBlur={done}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === "Escape" && input.current) input.current.value = port.name;
        if (event.key === "Enter" || event.key === "Escape") event.currentTarget.blur();
      }}
    />
  );
}

const titleOf = (stage: Stage, step: string): string => stage.scene.nodes.get(step)?.title ?? step;

/** Whether a wire that is being drawn could be published at a side: what has no wire from outside yet is an input's. */
const publishes = ({ from }: Pending, side: Side): boolean => from.side === (side === "inputs" ? "input" : "output");

/** Publish the end that the wire that is being drawn comes from; over a port, lead that one there. */
export function publishPending(stage: Stage, side: Side, port: string): boolean {
  const { pending } = stage.ui.getState();
  const id = stage.path.at(-1);
  if (!pending || id === undefined || !publishes(pending, side)) return false;
  const { step, name, index } = pending.from;
  stage.ui.setState({ pending: null, says: "" });
  const many = stage.scene.nodes.get(step)?.shape.wires.find((one) => one.name === name)?.many ?? false;
  const end = many && side === "inputs" ? `${name}#${index}` : name;
  if (port) stage.run(leadPort(id, side, port, step, end));
  else stage.run(addPort(id, side, step, end, stage.scene.palette));
  stage.say(t("ports.published", { name: readable(name), node: titleOf(stage, step) }));
  return true;
}

/** A wire let go at a place of the page: whether a list of ports was there. What it does not take is let go of. */
export function publishAt(stage: Stage, [x, y]: readonly [number, number]): boolean {
  const under = document.elementFromPoint(x, y);
  const side = under?.closest<HTMLElement>("[data-ports]")?.dataset.ports as Side | undefined;
  if (!side) return false;
  const port = under?.closest<HTMLElement>("[data-port]")?.dataset.port ?? "";
  if (!publishPending(stage, side, port)) stage.ui.setState({ pending: null, says: "" });
  return true;
}
