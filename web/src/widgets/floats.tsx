/** A list of numbers, written with commas or spaces between them. */

import { useRef, useState } from "react";
import type { Json } from "../core/types";
import { newGesture, type WidgetProps } from "./props";

/** "1, 0.5 .25" → [1, 0.5, 0.25]; null if something in it is no finite number. */
export function readFloats(text: string): number[] | null {
  const parts = text.split(/[\s,;]+/).filter((part) => part !== "");
  const numbers = parts.map(Number);
  return numbers.every(Number.isFinite) ? numbers : null;
}

export function writeFloats(value: Json): string {
  return Array.isArray(value) ? value.map(String).join(", ") : typeof value === "string" ? value : "";
}

export function FloatsWidget({ id, value, set, label, problem, problemId }: WidgetProps) {
  const [draft, setDraft] = useState<string | null>(null);
  const gesture = useRef("");
  return (
    <input
      id={id}
      type="text"
      className="ll-text"
      autoComplete="off"
      spellCheck={false}
      aria-label={label}
      aria-invalid={problem !== "" || undefined}
      aria-describedby={problemId}
      placeholder="1, 0.5, 0"
      value={draft ?? writeFloats(value)}
      onFocus={() => {
        gesture.current = newGesture(`type ${id}`);
      }}
      onChange={(event) => {
        setDraft(event.target.value);
        const numbers = readFloats(event.target.value);
        // A list in the middle of being typed stays here; a finished wrong one is shown as wrong.
        if (numbers) set(numbers, gesture.current);
      }}
      onBlur={() => {
        if (draft !== null) set(readFloats(draft) ?? draft, gesture.current);
        setDraft(null);
      }}
    />
  );
}
