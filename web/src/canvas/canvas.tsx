/**
 * The canvas: one painted layer, and above it the nodes near what is seen, as elements. They lie in React Flow's viewport,
 * which it moves; it never sees the others, nor a wire.
 */

import { ReactFlow, ReactFlowProvider, useStoreApi, ViewportPortal } from "@xyflow/react";
import { t } from "../ui/text";
import "@xyflow/react/dist/base.css";
import { memo, type RefObject, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { useStore } from "zustand";
import { createStore, type StoreApi } from "zustand/vanilla";
import type { RunStore, ServerStore, ViewStore } from "../app/stores";
import type { DocumentStore } from "../core/history";
import type { Note, Problem, Rect } from "../core/types";
import { type WidgetServices, WidgetServicesContext } from "../widgets";
import { FAR, MAX_ZOOM, MIN_ZOOM } from "./camera";
import "./canvas.css";
import { StageContext, useStage } from "./context";
import { carriedAway, carriedHere, carriedOver } from "./gestures/carry";
import { doubleClicked } from "./gestures/double_click";
import { GestureDriver } from "./gestures/driver";
import { keyClicked, pressedKey } from "./keyboard";
import { MinimapView } from "./minimap_view";
import { NoteNode } from "./node/note_node";
import { StepNode } from "./node/step_node";
import { GroupTitle, Overlay } from "./overlay";
import { Ports } from "./ports";
import type { SceneNode } from "./scene_types";
import { type NodeServices, NodeServicesContext, useNodeServices } from "./services";
import { Stage } from "./stage";
import { nodeLabel } from "./words";

export interface CanvasProps {
  document: DocumentStore;
  view: ViewStore;
  run: RunStore;
  server: ServerStore;
  /** What is wrong with the document now; none if not given. */
  problems?: StoreApi<{ problems: readonly Problem[] }>;
  widgets: WidgetServices;
  nodes: NodeServices;
  /** For tests and the bench, which count what is drawn. */
  onStage?(stage: Stage): void;
}

const NO_PROBLEMS = createStore<{ problems: readonly Problem[] }>(() => ({ problems: [] }));

export const Canvas = memo(function Canvas({
  document,
  view,
  run,
  server,
  problems,
  widgets,
  nodes,
  onStage,
}: CanvasProps) {
  const stage = useMemo(
    () => new Stage({ document, view, run, server, problems: problems ?? NO_PROBLEMS }),
    [document, view, run, server, problems],
  );
  useEffect(() => {
    stage.thumbnailUrl = nodes.thumbnailUrl;
    stage.requestPaint();
  }, [stage, nodes]);
  useEffect(() => {
    onStage?.(stage);
    return stage.start();
  }, [stage, onStage]);
  return (
    <StageContext value={stage}>
      <WidgetServicesContext value={widgets}>
        <NodeServicesContext value={nodes}>
          <ReactFlowProvider key={stage.id}>
            <Surface />
          </ReactFlowProvider>
        </NodeServicesContext>
      </WidgetServicesContext>
    </StageContext>
  );
});

function Surface() {
  const stage = useStage();
  const nodes = useNodeServices();
  const container = useRef<HTMLDivElement>(null);
  const [ready, setReady] = useState(false);

  useLayoutEffect(() => {
    const element = container.current;
    if (!element) return;
    stage.container = element;
    const measure = () => stage.resized({ width: element.clientWidth, height: element.clientHeight });
    measure();
    setReady(true);
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    const detach = new GestureDriver(stage, element).attach();
    return () => {
      detach();
      observer.disconnect();
      stage.container = null;
    };
  }, [stage]);

  return (
    <div
      ref={container}
      className="ll-canvas"
      role="application"
      aria-label={t("canvas.label")}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: it takes the arrow keys.
      tabIndex={0}
      onKeyDown={(event) => pressedKey(stage, event)}
      onClick={(event) => keyClicked(stage, event)}
      onDoubleClick={(event) => doubleClicked(stage, event)}
      onDragOver={(event) => carriedOver(stage, event)}
      onDragLeave={(event) => carriedAway(stage, event)}
      onDrop={(event) => carriedHere(stage, event, nodes)}
    >
      <Painted />
      {ready && <Flow />}
      <Overlay />
      <GroupTitle />
      <Ports />
      <MinimapView />
      <LiveRegion />
      <Edge container={container} />
    </div>
  );
}

/** The last stop: Tab leaves the canvas over it, and coming back from outside enters the canvas at its front. */
function Edge({ container }: { container: RefObject<HTMLDivElement | null> }) {
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: it only passes the focus on.
    <span
      // biome-ignore lint/a11y/noNoninteractiveTabindex: it only passes the focus on.
      tabIndex={0}
      data-edge=""
      className="ll-hidden"
      onFocus={(event) => {
        const from = event.relatedTarget as Element | null;
        if (!container.current?.contains(from)) container.current?.focus({ preventScroll: true });
      }}
    />
  );
}

function Painted() {
  const stage = useStage();
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => (canvas.current ? stage.painter.attach(canvas.current) : undefined), [stage]);
  // biome-ignore lint/a11y/noAriaHiddenOnFocusable: a canvas without tabindex takes no focus; the outline says what it shows.
  return <canvas ref={canvas} className="ll-painted" aria-hidden="true" />;
}

const NO_NODES: [] = [];

function Flow() {
  const stage = useStage();
  const store = useStoreApi();
  const far = useStore(stage.stores.view, (view) => view.viewport.zoom < FAR);

  useEffect(() => {
    stage.applyCamera = (camera) => void store.getState().panZoom?.setViewport(camera);
    const follow = ([x, y, zoom]: [number, number, number]) => stage.cameraMoved({ x, y, zoom });
    const end = store.subscribe((now, before) => now.transform !== before.transform && follow(now.transform));
    stage.flowReady();
    return () => {
      end();
      stage.applyCamera = () => {};
    };
  }, [stage, store]);

  return (
    <ReactFlow
      nodes={NO_NODES}
      defaultViewport={stage.camera}
      minZoom={MIN_ZOOM}
      maxZoom={MAX_ZOOM}
      className={far ? "ll-far" : undefined}
      nodesDraggable={false}
      nodesConnectable={false}
      nodesFocusable={false}
      elementsSelectable={false}
      panOnDrag={false}
      panOnScroll={false}
      zoomOnScroll={false}
      zoomOnPinch={false}
      zoomOnDoubleClick={false}
      preventScrolling={false}
      selectionKeyCode={null}
      deleteKeyCode={null}
      panActivationKeyCode={null}
      multiSelectionKeyCode={null}
      zoomActivationKeyCode={null}
      disableKeyboardA11y
      attributionPosition="bottom-left"
    >
      <ViewportPortal>
        <Mounted />
      </ViewportPortal>
    </ReactFlow>
  );
}

interface Place {
  id: string;
  what: "step" | "note";
  rect: Rect;
  zIndex: number;
  label: string | undefined;
  focused: boolean;
}

/**
 * The mounted steps and notes, each where its rectangle is. They are laid into React Flow's viewport and are none of its
 * nodes: it would look at all of them again whenever one comes or goes.
 */
function Mounted() {
  const stage = useStage();
  const places = usePlaces();
  useLayoutEffect(() => {
    stage.counts.canvasCommits += 1;
  });
  return places.map((place) => <Placed key={place.id} place={place} />);
}

const Placed = memo(function Placed({ place: { id, what, rect, zIndex, label, focused } }: { place: Place }) {
  const { x, y, width, height } = rect;
  const style = { transform: `translate(${x}px,${y}px)`, width, height, zIndex };
  if (what === "note") {
    return (
      <div className="react-flow__node" data-id={id} role="note" style={style}>
        <NoteNode id={id} />
      </div>
    );
  }
  return (
    // biome-ignore lint/a11y/useSemanticElements: a group of fields that is no form.
    <div
      className="react-flow__node"
      data-id={id}
      data-step={id}
      role="group"
      aria-label={label}
      tabIndex={-1}
      aria-current={focused ? "true" : undefined}
      style={style}
    >
      <StepNode id={id} />
    </div>
  );
});

/** Unchanged ones stay the same objects. */
function usePlaces(): Place[] {
  const stage = useStage();
  const { ids } = useStore(stage.window.mounted);
  const scene = useStore(stage.changes, (one) => one.scene);
  const selection = useStore(stage.stores.view, (view) => view.selection);
  const focused = useStore(stage.ui, (ui) => ui.focused);
  const kept = useRef(new Map<string, { key: unknown[]; place: Place }>());

  // biome-ignore lint/correctness/useExhaustiveDependencies: `scene` counts the changes of stage.scene.
  return useMemo(() => {
    const before = kept.current;
    const now = new Map<string, { key: unknown[]; place: Place }>();
    const keep = (id: string, key: unknown[], make: () => Place) => {
      const known = before.get(id);
      const same = known?.key.every((one, at) => one === key[at]);
      now.set(id, known && same ? known : { key, place: make() });
    };
    for (const id of ids) {
      const node = stage.scene.nodes.get(id);
      const note = stage.scene.board.notes[id];
      const at = { selected: selection.has(id), focused: focused === id };
      if (node) keep(id, [node, at.selected, at.focused], () => stepPlace(node, at));
      else if (note) keep(id, [note, at.selected], () => notePlace(note, at.selected));
    }
    kept.current = now;
    return [...now.values()].map((one) => one.place);
  }, [stage, ids, scene, selection, focused]);
}

const notePlace = ({ id, rect }: Note, selected: boolean): Place => ({
  id,
  what: "note",
  rect,
  zIndex: selected ? 1 : -1,
  label: undefined,
  focused: false,
});

const stepPlace = (node: SceneNode, at: { selected: boolean; focused: boolean }): Place => ({
  id: node.id,
  what: "step",
  rect: node.rect,
  zIndex: at.selected ? 2 : 0,
  label: nodeLabel(node),
  focused: at.focused,
});

function LiveRegion() {
  const says = useStore(useStage().ui, (ui) => ui.says);
  return (
    <div className="ll-hidden" aria-live="polite">
      {says}
    </div>
  );
}
