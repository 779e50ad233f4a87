/**
 * The canvas behind React: scene, camera, painting, and what is mounted. Components draw what it says; gestures and the
 * shell act through it. One instance for each mounted canvas.
 */

import { createStore, type StoreApi } from "zustand/vanilla";
import {
  type CanvasHandle,
  type RunStore,
  runId,
  type ServerStore,
  type ViewState,
  type ViewStore,
} from "../app/stores";
import type { Command, DocumentStore } from "../core/history";
import type { Guide } from "../core/snap";
import type { Point, Problem, Rect } from "../core/types";
import type { WhyNot } from "../core/typing";
import { problemsOn } from "../core/validate";
import { t } from "../ui/text";
import { newGesture } from "../widgets";
import { type Camera, type Size, seen, toCanvas, zoomedAt } from "./camera";
import { Flight, focusWhenThere } from "./flight";
import { Painter } from "./paint/painter";
import { Scene } from "./scene";
import type { SceneLink, SceneSocket } from "./scene_types";
import { MountWindow } from "./window";

/** A wire that is being drawn. */
export interface Pending {
  /** The end that stays. */
  from: SceneSocket;
  /** The wire that was taken off its input, if one was. */
  taken: { step: string; input: string; index: number } | null;
  at: Point;
  /** The end it would join if let go now. */
  target: SceneSocket | null;
  /** Why what is under the pointer does not fit. */
  why: WhyNot | "side" | null;
  /** Goes on after the button was let go: click-click, tap-tap, keyboard. */
  sticky: boolean;
}

/** What gestures show, above the nodes. */
export interface UiState {
  pending: Pending | null;
  box: Rect | null;
  /** A line around what is being chosen; it closes itself. */
  lasso: readonly Point[] | null;
  /** A stroke that cuts wires, and those it has crossed. */
  knife: { stroke: readonly Point[]; cut: ReadonlySet<string> } | null;
  guides: readonly Guide[];
  hoveredLink: string | null;
  /** A wire that what is dragged would be put on. */
  insertLink: string | null;
  selectedLinks: ReadonlySet<string>;
  dragging: boolean;
  /** A step, group or note whose title or text is being edited in place. */
  editing: string | null;
  /** The step that the arrow keys start from. */
  focused: string | null;
  /** Said to screen readers. */
  says: string;
}

export interface Stores {
  document: DocumentStore;
  view: ViewStore;
  run: RunStore;
  server: ServerStore;
  /** What is wrong now, for fields and frames. */
  problems: StoreApi<{ problems: readonly Problem[] }>;
}

/** What tests and the bench count. */
export interface Counts {
  paints: number;
  linksDrawn: number;
  boxesDrawn: number;
  /** React commits of node components, by step. */
  commits: Record<string, number>;
  /** React commits of the canvas itself. */
  canvasCommits: number;
}

const NO_UI: UiState = {
  pending: null,
  box: null,
  lasso: null,
  knife: null,
  guides: [],
  hoveredLink: null,
  insertLink: null,
  selectedLinks: new Set(),
  dragging: false,
  editing: null,
  focused: null,
  says: "",
};

export class Stage {
  readonly scene = new Scene();
  readonly ui = createStore<UiState>(() => NO_UI);
  /** Counts up whenever the scene has changed; components that draw it subscribe. */
  readonly changes = createStore<{ scene: number }>(() => ({ scene: 0 }));
  /** What is wrong, by the step of this board that shows it. */
  readonly shownProblems = createStore<{ byStep: ReadonlyMap<string, readonly Problem[]> }>(() => ({
    byStep: new Map(),
  }));
  readonly counts: Counts = { paints: 0, linksDrawn: 0, boxesDrawn: 0, commits: {}, canvasCommits: 0 };
  readonly painter: Painter;
  readonly window: MountWindow;
  camera: Camera;
  size: Size = { width: 1, height: 1 };
  container: HTMLElement | null = null;
  /** Where a small picture of a finished file is; given by the shell. */
  thumbnailUrl: (file: string, side: number) => string = () => "";
  /** Moves React Flow's viewport; given when it is there. */
  applyCamera: (camera: Camera) => void = () => {};
  /** Different for each canvas of the page. */
  readonly id = newGesture("stage");
  private readonly flight = new Flight(this);
  private readonly cameras = new Map<string, Camera>();
  private readonly ends: (() => void)[] = [];
  private frame = 0;
  /** Everything was fitted when the canvas appeared, and nobody has moved the camera since. */
  private fittedItself = false;

  constructor(readonly stores: Stores) {
    this.camera = stores.view.getState().viewport;
    this.painter = new Painter(this);
    this.window = new MountWindow(this);
    this.scene.style = stores.view.getState().linkStyle;
    this.refresh();
  }

  /** Follow the stores. Returns what ends it. */
  start(): () => void {
    const { document, view, run, server } = this.stores;
    this.ends.push(
      document.subscribe(() => this.refresh()),
      server.subscribe((now, before) => now.palette !== before.palette && this.paletteChanged()),
      view.subscribe((now, before) => this.viewChanged(now, before)),
      run.subscribe(() => this.requestPaint()),
      this.ui.subscribe(() => this.requestPaint()),
      this.stores.problems.subscribe(() => this.showProblems()),
    );
    view.setState({ canvas: this.handle });
    this.refresh();
    this.showProblems();
    return () => {
      for (const end of this.ends.splice(0)) end();
      this.flight.stop();
      cancelAnimationFrame(this.frame);
      this.frame = 0;
      if (view.getState().canvas === this.handle) view.setState({ canvas: null });
    };
  }

  get path() {
    return this.stores.view.getState().path;
  }

  get selection(): ReadonlySet<string> {
    return this.stores.view.getState().selection;
  }

  get readOnly(): boolean {
    return this.stores.view.getState().readOnly;
  }

  /** Change the document, unless somebody else has it. */
  run<T>(command: Command<T>, gesture = ""): T | undefined {
    if (this.readOnly) {
      this.say(t("canvas.read-only"));
      return undefined;
    }
    return this.stores.document.run(command, gesture);
  }

  select(ids: Iterable<string>, links: Iterable<string> = []): void {
    const selection = new Set(ids);
    const selectedLinks = new Set(links);
    if (!sameSet(selection, this.selection)) this.stores.view.setState({ selection });
    if (!sameSet(selectedLinks, this.ui.getState().selectedLinks)) this.ui.setState({ selectedLinks });
  }

  /** Whether a wire is drawn from end to end: a hidden one where one looks, at itself or at a node it joins. */
  shows({ id, hidden, from, to }: SceneLink): boolean {
    if (!hidden) return true;
    const { hoveredLink, insertLink, selectedLinks } = this.ui.getState();
    const { hover, selection } = this.stores.view.getState();
    if (hoveredLink === id || insertLink === id || selectedLinks.has(id)) return true;
    return [from.id, to.id].some((one) => one === hover || selection.has(one));
  }

  say(says: string): void {
    this.ui.setState({ says });
  }

  /** What a step that is seen is called in a run. */
  runKey(id: string): string {
    return runId(this.stores.view.getState().scope, id);
  }

  // ── the camera ──

  /** React Flow's viewport is there now. Called for every movement, whoever made it. */
  cameraMoved(camera: Camera): void {
    this.camera = camera;
    this.requestPaint();
  }

  moveCamera(camera: Camera): void {
    this.fittedItself = false;
    this.flight.stop();
    this.applyCamera(camera);
  }

  zoomAt(anchor: Point, factor: number): void {
    this.moveCamera(zoomedAt(this.camera, anchor, this.camera.zoom * factor));
  }

  panBy(dx: number, dy: number): void {
    this.moveCamera({ ...this.camera, x: this.camera.x + dx, y: this.camera.y + dy });
  }

  /** Pixels from the page's corner → pixels from the canvas' corner. */
  local([x, y]: Point): Point {
    const rect = this.container?.getBoundingClientRect();
    return rect ? [x - rect.x, y - rect.y] : [x, y];
  }

  toCanvas(screen: Point): Point {
    return toCanvas(this.camera, this.local(screen));
  }

  seen(margin = 0): Rect {
    return seen(this.camera, this.size, margin);
  }

  readonly handle: CanvasHandle = {
    fit: (ids, animate = true) => this.flight.fit(ids, animate),
    zoomBy: (factor) => this.flight.to(zoomedAt(this.camera, this.middle(), this.camera.zoom * factor)),
    zoomTo: (zoom) => this.flight.to(zoomedAt(this.camera, this.middle(), zoom)),
    focusStep: (step, field) => this.flight.focus(step, field),
    center: () => toCanvas(this.camera, this.middle()),
    lookAt: ([x, y], zoom) => {
      const [cx, cy] = this.middle();
      this.flight.to({ x: cx - x * zoom, y: cy - y * zoom, zoom });
    },
    toCanvas: (screen) => this.toCanvas(screen),
  };

  /** Move the camera just as far as is needed to see a rectangle. */
  reveal(rect: Rect): void {
    this.flight.reveal(rect);
  }

  /** Give a step's element the keyboard, as soon as it is there. */
  focusElement(step: string, field?: string): void {
    focusWhenThere(this, step, field);
  }

  /** React Flow is there: look where one looked last, or at everything. */
  flowReady(): void {
    const { viewport } = this.stores.view.getState();
    this.fittedItself = viewport.x === 0 && viewport.y === 0 && viewport.zoom === 1;
    if (this.fittedItself) this.flight.fit(undefined, false);
    else this.applyCamera(viewport);
    this.requestPaint();
  }

  private middle(): Point {
    return [this.size.width / 2, this.size.height / 2];
  }

  // ── changes ──

  /** The document, the board or the palette is another. */
  private refresh(): void {
    const { document, view, server } = this.stores;
    const { path } = view.getState();
    this.scene.update(document.getState(), path, server.getState().palette);
    const { selectedLinks } = this.ui.getState();
    const there = [...selectedLinks].filter((id) => this.scene.links.has(id));
    if (there.length !== selectedLinks.size) this.ui.setState({ selectedLinks: new Set(there) });
    this.sceneChanged();
  }

  private showProblems(): void {
    const { document, problems } = this.stores;
    this.shownProblems.setState({ byStep: problemsOn(document.getState(), this.path, problems.getState().problems) });
    this.requestPaint();
  }

  sceneChanged(): void {
    this.changes.setState(({ scene }) => ({ scene: scene + 1 }));
    this.requestPaint();
  }

  /** What the kinds are is known now: nodes have other sizes than before. */
  private paletteChanged(): void {
    this.refresh();
    if (this.fittedItself) this.flight.fit(undefined, false);
  }

  private viewChanged(now: ViewState, before: ViewState): void {
    if (now.path !== before.path) this.pathChanged(now.path.join("/"), before.path.join("/"));
    else if (now.viewport !== before.viewport && now.viewport !== this.reported) this.moveCamera(now.viewport);
    if (now.linkStyle !== before.linkStyle) {
      this.scene.setStyle(now.linkStyle);
      this.requestPaint();
    }
    if (now.hover !== before.hover || now.selection !== before.selection || now.minimap !== before.minimap)
      this.requestPaint();
  }

  /** Each board remembers where one looked at it. */
  private pathChanged(now: string, before: string): void {
    this.cameras.set(before, this.camera);
    this.ui.setState({ ...NO_UI });
    this.window.clear();
    this.refresh();
    this.showProblems();
    const known = this.cameras.get(now);
    if (known) this.moveCamera(known);
    else this.flight.fit(undefined, false);
  }

  /** The camera that the view store was told last, to know its own words when it hears them. */
  private reported: Camera | null = null;

  // ── painting ──

  /** Whether a frame is still to come. */
  get busy(): boolean {
    return this.frame !== 0;
  }

  requestPaint(): void {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.paint();
    });
  }

  private paint(): void {
    const { view } = this.stores;
    if (view.getState().viewport !== this.camera) {
      this.reported = this.camera;
      view.setState({ viewport: this.camera });
    }
    const more = this.window.update();
    this.painter.paint();
    if (more) this.requestPaint();
  }

  resized(size: Size): void {
    this.size = size;
    this.requestPaint();
  }
}

const sameSet = (a: ReadonlySet<string>, b: ReadonlySet<string>): boolean =>
  a.size === b.size && [...a].every((one) => b.has(one));
