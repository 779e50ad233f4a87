/** A modal dialog: the browser's own, which keeps the focus inside, closes with Escape and is above everything. */
import { X } from "lucide-react";
import { type ReactNode, useEffect, useId, useRef } from "react";
import { IconButton } from "./button";
import "./dialog.css";
import { t } from "./text";

interface Props {
  title: string;
  close: () => void;
  children: ReactNode;
  footer?: ReactNode;
  size?: "wide" | "full" | "high";
  /** No heading is shown; screen readers are told it. */
  bare?: boolean;
}

export function Dialog({ title, close, children, footer, size, bare = false }: Props): ReactNode {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = ref.current;
    const before = document.activeElement;
    dialog?.showModal();
    // The browser would begin at the button that closes it.
    if (!bare) dialog?.querySelector<HTMLElement>(".body :is(input, select, textarea)")?.focus();
    return () => {
      dialog?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, [bare]);
  return (
    <dialog
      ref={ref}
      className={`dialog ${size ?? ""}`}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
      onClick={(event) => event.target === ref.current && close()}
      onKeyDown={(event) => event.stopPropagation()}
    >
      {bare ? (
        <h2 id={id} className="hidden-text">
          {title}
        </h2>
      ) : (
        <header>
          <h2 id={id}>{title}</h2>
          <IconButton label={t("close")} onClick={close}>
            <X size={16} />
          </IconButton>
        </header>
      )}
      {bare ? (
        children
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard has to get there.
        <div className="body" tabIndex={0}>
          {children}
        </div>
      )}
      {footer ? <footer>{footer}</footer> : null}
    </dialog>
  );
}
