/** One line of the settings: what it is, and what it is set to. */
import { type ReactNode, useId } from "react";

export function Line({ label, children }: { label: string; children: (id: string) => ReactNode }): ReactNode {
  const id = useId();
  return (
    <div className="setting">
      <label htmlFor={id}>{label}</label>
      {children(id)}
    </div>
  );
}

export function Check({
  label,
  value,
  set,
  disabled = false,
}: {
  label: string;
  value: boolean;
  set: (value: boolean) => void;
  disabled?: boolean;
}): ReactNode {
  return (
    <Line label={label}>
      {(id) => (
        <input
          id={id}
          type="checkbox"
          checked={value}
          disabled={disabled}
          onChange={(event) => set(event.target.checked)}
        />
      )}
    </Line>
  );
}
