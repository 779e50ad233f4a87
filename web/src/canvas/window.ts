/**
 * Which nodes and notes are elements of the page: those near what is seen, a few more each frame, never more than a page can bear.
 * The others are painted. What has the keyboard stays mounted wherever one looks.
 */

import { createStore } from "zustand/vanilla";
import { FAR } from "./camera";
import type { SceneNode } from "./scene_types";
import type { Stage } from "./stage";

/** Mounting many at once is what makes a zoom stutter. */
export const MOUNTS_A_FRAME = 6;
export const UNMOUNTS_A_FRAME = 16;
export const MOST_MOUNTED = 60;
/** Around what is seen, in pixels: mounted within the first, kept within the second. */
const NEAR = 80;
const KEPT = 360;
/** Painted boxes begin here. */
export const EDGE = 20;
const FEW = 4;
/** More than so many are not mounted before they are seen: they would push out each other. */
const CROWDED = 48;

export class MountWindow {
  readonly mounted = createStore<{ ids: readonly string[] }>(() => ({ ids: [] }));
  /** Whose elements are in the page already: the others in view are painted meanwhile. */
  readonly committed = new Set<string>();

  constructor(private readonly stage: Stage) {}

  clear(): void {
    this.mounted.setState({ ids: [] });
  }

  /** Take one step towards what should be mounted. Returns whether more steps are needed. */
  update(): boolean {
    const { ids } = this.mounted.getState();
    const { scene } = this.stage;
    const pinned = this.pinned();
    const wanted = this.wanted(pinned);
    const kept = this.keptArea();
    const has = new Set(ids);
    const missing = wanted.filter((id) => !has.has(id));
    const surplus = ids.length + missing.length - MOST_MOUNTED;
    const wants = new Set(wanted);
    const going = ids.filter((id) => {
      if (!scene.has(id)) return true;
      return !wants.has(id) && (surplus > 0 || !kept.has(id));
    });
    if (this.canWait(missing, going, surplus)) return false;
    const gone = new Set(going.filter((id) => !scene.has(id)).concat(going.slice(0, UNMOUNTS_A_FRAME)));
    const left = ids.filter((id) => !gone.has(id));
    const room = Math.max(0, MOST_MOUNTED - left.length);
    const added = missing.slice(0, Math.min(MOUNTS_A_FRAME, room));
    if (gone.size > 0 || added.length > 0) this.mounted.setState({ ids: [...left, ...added] });
    return missing.length > added.length || going.length > gone.size;
  }

  /**
   * A commit costs by itself, however few nodes are in it. While only what is beside the view has changed, it waits until
   * some more have.
   */
  private canWait(missing: readonly string[], going: readonly string[], surplus: number): boolean {
    const { scene } = this.stage;
    if (missing.length >= FEW || (surplus > 0 && going.length > 0) || going.length >= 2 * FEW) return false;
    if (going.some((id) => !scene.has(id)) || (going.length > 0 && this.stage.camera.zoom < FAR)) return false;
    if (missing.length === 0) return true;
    const area = this.stage.seen(EDGE);
    const seen = new Set([...scene.nodesIn(area), ...scene.notesIn(area)].map((one) => one.id));
    const pinned = new Set(this.pinned());
    return !missing.some((id) => seen.has(id) || pinned.has(id));
  }

  private pinned(): string[] {
    const { focused, pending, editing } = this.stage.ui.getState();
    const { selection, scene } = this.stage;
    const one = selection.size === 1 ? [...selection] : [];
    return [...new Set([withKeyboard(), focused, editing, pending?.from.step ?? null, ...one])].filter(
      (id): id is string => id !== null && scene.has(id),
    );
  }

  /** What is pinned, then what is seen from the middle outwards. */
  private wanted(pinned: string[]): string[] {
    const { stage } = this;
    // From afar only what is being typed into stays.
    if (stage.camera.zoom < FAR) return pinned.filter((id) => id === withKeyboard());
    const area = stage.seen(NEAR);
    const x = area.x + area.width / 2;
    const y = area.y + area.height / 2;
    const away = ({ rect }: SceneNode) => Math.hypot(rect.x + rect.width / 2 - x, rect.y + rect.height / 2 - y);
    let near = stage.scene.nodesIn(area);
    if (near.length > CROWDED) near = stage.scene.nodesIn(stage.seen(EDGE));
    if (near.length > MOST_MOUNTED) near.sort((a, b) => away(a) - away(b));
    const notes = stage.scene.notesIn(area).map((note) => note.id);
    return [...new Set([...pinned, ...notes, ...near.map((node) => node.id)])].slice(0, MOST_MOUNTED);
  }

  private keptArea(): ReadonlySet<string> {
    const { camera, scene } = this.stage;
    if (camera.zoom < FAR) return new Set();
    const area = this.stage.seen(KEPT);
    return new Set([...scene.nodesIn(area), ...scene.notesIn(area)].map((one) => one.id));
  }
}

/** The step that has the keyboard on one of its fields, or on itself. */
export function withKeyboard(): string | null {
  return document.activeElement?.closest<HTMLElement>("[data-step]")?.dataset.step ?? null;
}
