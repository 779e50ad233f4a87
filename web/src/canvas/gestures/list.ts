/** What a pointer can do on the canvas, for the help: no command stands for these. */

import type { Key } from "../../ui/text";

export const GESTURES: readonly (readonly [what: Key, how: Key])[] = [
  ["gesture.add", "gesture.add-how"],
  ["gesture.box", "gesture.box-how"],
  ["gesture.box-less", "gesture.box-less-how"],
  ["gesture.lasso", "gesture.lasso-how"],
  ["gesture.lasso-less", "gesture.lasso-less-how"],
  ["gesture.copy", "gesture.copy-how"],
  ["gesture.extract", "gesture.extract-how"],
  ["gesture.insert", "gesture.insert-how"],
  ["gesture.knife", "gesture.knife-how"],
  ["gesture.bend", "gesture.bend-how"],
  ["gesture.frame", "gesture.frame-how"],
  ["gesture.join", "gesture.join-how"],
  ["gesture.touch", "gesture.touch-how"],
];
