/** Text: one line, or several in a box that scrolls by itself. */

import { type KeyboardEvent, useRef } from "react";
import { newGesture, type WidgetProps } from "./props";

export function TextWidget({ id, def, value, set, label, problem, problemId }: WidgetProps) {
  const gesture = useRef("");
  const shared = {
    id,
    "aria-label": label,
    "aria-invalid": problem !== "" || undefined,
    "aria-describedby": problemId,
    value: typeof value === "string" ? value : value === null ? "" : JSON.stringify(value),
    onFocus: () => {
      gesture.current = newGesture(`type ${id}`);
    },
    onChange: (event: { target: { value: string } }) => set(event.target.value, gesture.current),
    onKeyDown: (event: KeyboardEvent<HTMLElement>) => {
      // A word is an undo step: a space or a new line begins the next.
      if (event.key === " " || event.key === "Enter") gesture.current = newGesture(`type ${id}`);
      if (event.key === "Escape") event.currentTarget.blur();
    },
  };
  if (!def.multiline) return <input type="text" className="ll-text" autoComplete="off" {...shared} />;
  return <textarea className="ll-textarea" spellCheck data-scrolls="" {...shared} />;
}
