/**
 * What a wheel event asks for. A pinch zooms, and so does a wheel with Ctrl. Else, by the setting: always zoom, always pan,
 * or told apart: a mouse's wheel zooms, two fingers on a trackpad pan.
 */

import type { Wheel } from "../app/settings";

export type WheelIntent = { does: "zoom"; factor: number } | { does: "pan"; dx: number; dy: number };

export interface WheelLike {
  deltaX: number;
  deltaY: number;
  deltaMode: number;
  ctrlKey: boolean;
  metaKey: boolean;
  shiftKey: boolean;
  timeStamp: number;
}

/** Between two events of one movement, in milliseconds. */
const SAME_MOVEMENT = 300;
const LINE = 16;
const PAGE = 400;

/** Remembers what device a movement came from: its first event tells, the others follow. */
export class WheelReader {
  private last = Number.NEGATIVE_INFINITY;
  private trackpad = false;

  read(event: WheelLike, setting: Wheel = "auto"): WheelIntent {
    const unit = event.deltaMode === 1 ? LINE : event.deltaMode === 2 ? PAGE : 1;
    const dx = event.deltaX * unit;
    const dy = event.deltaY * unit;
    if (event.ctrlKey || event.metaKey) {
      // A pinch arrives as a wheel with Ctrl, in small steps; a real wheel with Ctrl in large ones.
      const gentle = Math.abs(dy) < 50 && event.deltaMode === 0;
      return { does: "zoom", factor: Math.exp(-clamp(dy, 100) * (gentle ? 0.01 : 0.002)) };
    }
    if (event.timeStamp - this.last > SAME_MOVEMENT) this.trackpad = looksLikeTrackpad(event);
    else if (event.deltaX !== 0 && !event.shiftKey) this.trackpad = true;
    this.last = event.timeStamp;
    const pans = setting === "pan" || (setting === "auto" && this.trackpad);
    // A mouse has one wheel: with Shift it pans sideways, whatever it does without.
    if (event.shiftKey && !this.trackpad) return { does: "pan", dx: -(dx || dy), dy: 0 };
    if (pans) return { does: "pan", dx: -dx, dy: -dy };
    return { does: "zoom", factor: Math.exp(-clamp(dy, 200) * 0.002) };
  }
}

const clamp = (value: number, most: number): number => Math.max(-most, Math.min(most, value));

/** Wheels turn in one direction by whole notches; fingers move in two, by small or broken amounts. */
function looksLikeTrackpad(event: WheelLike): boolean {
  if (event.deltaMode !== 0) return false;
  if (event.deltaX !== 0 && !event.shiftKey) return true;
  const amount = Math.abs(event.deltaY || event.deltaX);
  return amount < 40 || (!Number.isInteger(amount) && amount < 80);
}
