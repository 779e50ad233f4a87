/** One of several values, found by typing. */

import { type KeyboardEvent, useRef, useState } from "react";
import type { Json } from "../core/types";
import { Listbox } from "./listbox";
import type { WidgetProps } from "./props";

/** As a person reads it; choices need not be text. */
export function choiceText(value: Json): string {
  return typeof value === "string" ? value : value === null ? "" : JSON.stringify(value);
}

export function ChoiceWidget({ id, def, value, set, label, problem, problemId }: WidgetProps) {
  const [open, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const options = def.choices.map(choiceText);
  const shown = choiceText(value);

  const step = (by: number) => {
    const next = def.choices[Math.min(options.length - 1, Math.max(0, options.indexOf(shown) + by))];
    if (next !== undefined) set(next);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.altKey && event.key === "ArrowDown") setOpen(true);
    else if (event.key === "ArrowDown") step(1);
    else if (event.key === "ArrowUp") step(-1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const close = () => {
    setOpen(false);
    button.current?.focus();
  };

  return (
    <>
      <button
        ref={button}
        id={id}
        type="button"
        className="ll-choice"
        role="combobox"
        aria-label={`${label}: ${shown}`}
        aria-haspopup="listbox"
        aria-expanded={open}
        aria-controls={undefined}
        aria-invalid={problem !== "" || undefined}
        aria-describedby={problemId}
        title={shown}
        onClick={() => setOpen(!open)}
        onKeyDown={onKeyDown}
      >
        <span>{shown}</span>
      </button>
      {open && button.current && (
        <Listbox
          anchor={button.current}
          options={options}
          value={shown}
          label={def.label || def.name}
          pick={(option) => {
            const picked = def.choices[options.indexOf(option)];
            if (picked !== undefined && option !== shown) set(picked);
            close();
          }}
          close={close}
        />
      )}
    </>
  );
}
