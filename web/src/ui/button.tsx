import type { ComponentProps, ReactNode } from "react";

type Props = ComponentProps<"button"> & { kind?: "main" | "bad" | "plain" };

export function Button({ kind = "plain", className = "", ...rest }: Props): ReactNode {
  return <button type="button" {...rest} className={`button ${kind === "plain" ? "" : kind} ${className}`} />;
}

/** A button that is only a picture: its name is said to screen readers and shown with the pointer on it. */
export function IconButton({
  label,
  keys = "",
  tiny = false,
  className = "",
  ...rest
}: ComponentProps<"button"> & { label: string; keys?: string; tiny?: boolean }): ReactNode {
  const classes = `button icon ${tiny ? "tiny" : ""} ${className}`;
  return (
    <button
      type="button"
      aria-label={label}
      title={keys ? `${label} (${keys})` : label}
      {...rest}
      className={classes}
    />
  );
}
