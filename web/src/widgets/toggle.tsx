/** Yes or no. */

import type { WidgetProps } from "./props";

export function ToggleWidget({ id, value, set, label, problemId }: WidgetProps) {
  return (
    <input
      id={id}
      type="checkbox"
      role="switch"
      aria-checked={value === true}
      className="ll-toggle"
      aria-label={label}
      aria-describedby={problemId}
      checked={value === true}
      onChange={(event) => set(event.target.checked)}
    />
  );
}
