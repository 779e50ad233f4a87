/** A number: type it (arithmetic too), drag it sideways, or step it with the arrow keys. */

import { type KeyboardEvent, type PointerEvent as ReactPointerEvent, useEffect, useRef, useState } from "react";
import { evaluate } from "./arithmetic";
import { autoOf, bounded, shown, stepped } from "./number_form";
import { newGesture, type WidgetProps } from "./props";

const PIXELS_PER_NOTCH = 4;

/** Shift is ten notches at a time, Alt a tenth of one. */
function factor(event: { shiftKey: boolean; altKey: boolean }): number {
  return event.shiftKey ? 10 : event.altKey ? 0.1 : 1;
}

export function NumberWidget({ id, def, value, set, label, problem, problemId }: WidgetProps) {
  const [draft, setDraft] = useState<string | null>(null);
  const typing = useRef<string>("");
  const current = typeof value === "number" ? value : typeof def.default === "number" ? def.default : 0;
  const drag = useNumberDrag(current, def, set);

  const commit = (text: string) => {
    const number = autoOf(text, def) ?? evaluate(text);
    // What is not arithmetic goes into the document as typed, so that it is seen, named and undone, never swallowed.
    if (number !== null) set(def.type === "INT" ? Math.round(number) : number, typing.current);
    else if (text.trim() !== "") set(text, typing.current);
    setDraft(null);
  };

  const onKeyDown = (event: KeyboardEvent<HTMLInputElement>) => {
    if (event.key === "Enter") {
      if (draft !== null) commit(draft);
      event.currentTarget.select();
    } else if (event.key === "Escape") {
      setDraft(null);
      event.currentTarget.blur();
    } else if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      event.preventDefault();
      const from = (draft !== null && evaluate(draft)) || current;
      setDraft(null);
      set(stepped(from, (event.key === "ArrowUp" ? 1 : -1) * factor(event), def), typing.current);
    }
  };

  return (
    <input
      id={id}
      className="ll-number"
      type="text"
      inputMode={def.type === "INT" ? "numeric" : "decimal"}
      role="spinbutton"
      autoComplete="off"
      spellCheck={false}
      aria-label={label}
      aria-valuenow={current}
      aria-valuetext={shown(value, def)}
      aria-valuemin={def.min ?? undefined}
      aria-valuemax={def.max ?? undefined}
      aria-invalid={problem !== "" || undefined}
      aria-describedby={problemId}
      value={draft ?? shown(value, def)}
      onFocus={() => {
        typing.current = newGesture(`type ${id}`);
      }}
      onChange={(event) => setDraft(event.target.value)}
      onBlur={() => draft !== null && commit(draft)}
      onKeyDown={onKeyDown}
      {...drag}
    />
  );
}

/** Dragging a field that has no focus changes its value; a press without movement goes on to edit it. */
function useNumberDrag(current: number, def: WidgetProps["def"], set: WidgetProps["set"]) {
  const state = useRef<{ x: number; from: number; gesture: string; moved: boolean } | null>(null);
  const latest = useRef({ current, def, set });
  useEffect(() => {
    latest.current = { current, def, set };
  });
  return {
    onPointerDown: (event: ReactPointerEvent<HTMLInputElement>) => {
      if (event.button !== 0 || document.activeElement === event.currentTarget) return;
      event.preventDefault();
      event.currentTarget.setPointerCapture(event.pointerId);
      state.current = {
        x: event.clientX,
        from: latest.current.current,
        gesture: newGesture("drag number"),
        moved: false,
      };
    },
    onPointerMove: (event: ReactPointerEvent<HTMLInputElement>) => {
      const drag = state.current;
      if (!drag) return;
      const far = event.clientX - drag.x;
      if (!drag.moved && Math.abs(far) < PIXELS_PER_NOTCH) return;
      drag.moved = true;
      const notches = Math.trunc(far / PIXELS_PER_NOTCH) * factor(event);
      const next = stepped(bounded(drag.from, latest.current.def), notches, latest.current.def);
      if (next !== latest.current.current) latest.current.set(next, drag.gesture);
    },
    onPointerUp: (event: ReactPointerEvent<HTMLInputElement>) => {
      const drag = state.current;
      state.current = null;
      if (!drag || drag.moved) return;
      event.currentTarget.focus();
      event.currentTarget.select();
    },
    onPointerCancel: () => {
      state.current = null;
    },
  };
}
