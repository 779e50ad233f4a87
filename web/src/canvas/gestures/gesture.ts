/** What a gesture is: something that begins with a press, goes on while it lasts, and ends or is called off. */

import type { Point } from "../../core/types";

/** Where a pointer is. */
export interface Pointer {
  /** In the page, pixels. */
  screen: Point;
  /** In the canvas, pixels from its corner. */
  local: Point;
  /** In canvas units. */
  at: Point;
  shift: boolean;
  alt: boolean;
  /** Ctrl, or ⌘ on a Mac. */
  ctrl: boolean;
  touch: boolean;
}

export interface Gesture {
  move(pointer: Pointer): void;
  end(pointer: Pointer): void;
  /** Leaves everything as it was before. */
  cancel(): void;
  /** The camera moves along when the pointer comes near the canvas' edge. */
  pans: boolean;
  cursor?: string;
}

/** What a press could become. */
export interface Intent {
  /** Let go without having moved. */
  click?(pointer: Pointer): void;
  /** Moved while held. */
  drag?(from: Pointer): Gesture | null;
}
