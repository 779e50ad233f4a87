/** A list with a search field, floating over the page: what choices and files are picked from. */

import {
  type KeyboardEvent,
  type ReactNode,
  useEffect,
  useId,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { createPortal } from "react-dom";
import { t } from "../ui/text";

export interface ListboxProps {
  /** The element it hangs under. */
  anchor: HTMLElement;
  options: readonly string[];
  value: string;
  label: string;
  pick(option: string): void;
  close(): void;
  /** Above the options: a button, a note. */
  head?: ReactNode;
  /** A picture before an option; "" for none. */
  picture?(option: string): string;
}

const HEIGHT = 320;
const SHOWN = 300;

/** Options that hold every word of `query`, those beginning with it first. */
export function search(options: readonly string[], query: string): string[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return [...options];
  const found = options.filter((option) => words.every((word) => option.toLowerCase().includes(word)));
  const starts = (option: string) => (option.toLowerCase().startsWith(words[0]!) ? 0 : 1);
  return found.sort((a, b) => starts(a) - starts(b));
}

export function Listbox({ anchor, options, value, label, pick, close, head, picture }: ListboxProps) {
  const [query, setQuery] = useState("");
  const found = useMemo(() => search(options, query), [options, query]);
  const [at, setAt] = useState(() => Math.max(0, options.indexOf(value)));
  const box = useRef<HTMLDivElement>(null);
  const id = useId();
  const active = Math.min(at, found.length - 1);

  useDismissal(box, anchor, close);
  useLayoutEffect(() => {
    box.current?.querySelector(`[data-at="${active}"]`)?.scrollIntoView({ block: "nearest" });
  }, [active]);

  const onKeyDown = (event: KeyboardEvent) => {
    const moves: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 };
    if (event.key in moves) setAt(Math.min(found.length - 1, Math.max(0, active + moves[event.key]!)));
    else if (event.key === "Enter" && found[active] !== undefined) pick(found[active]);
    else if (event.key === "Escape" || event.key === "Tab") close();
    else return event.stopPropagation();
    event.preventDefault();
    event.stopPropagation();
  };

  return createPortal(
    // biome-ignore lint/a11y/noStaticElementInteractions: keys typed in the search field move through the list.
    <div ref={box} className="ll-listbox" style={place(anchor, options.length)} onKeyDown={onKeyDown}>
      <input
        // biome-ignore lint/a11y/noAutofocus: it was opened to be typed into.
        autoFocus
        type="text"
        role="combobox"
        className="ll-listbox-search"
        aria-label={t("list.search", { label })}
        aria-expanded="true"
        aria-controls={id}
        aria-activedescendant={found.length > 0 ? `${id}-${active}` : undefined}
        placeholder={t("list.find")}
        spellCheck={false}
        value={query}
        onChange={(event) => {
          setQuery(event.target.value);
          setAt(0);
        }}
      />
      {head}
      <div id={id} role="listbox" aria-label={label} className="ll-listbox-options">
        {found.slice(0, SHOWN).map((option, index) => (
          // biome-ignore lint/a11y/useFocusableInteractive: the search field keeps the focus; see aria-activedescendant.
          // biome-ignore lint/a11y/useKeyWithClickEvents: keys go to the search field.
          <div
            key={option}
            id={`${id}-${index}`}
            role="option"
            data-at={index}
            aria-selected={option === value}
            className={index === active ? "ll-option ll-option-active" : "ll-option"}
            onPointerMove={() => index !== active && setAt(index)}
            onClick={() => pick(option)}
          >
            {picture?.(option) && <img src={picture(option)} alt="" loading="lazy" />}
            <span>{option === "" ? t("list.empty") : option}</span>
          </div>
        ))}
        {found.length === 0 && (
          <p className="ll-listbox-none">{options.length === 0 ? t("list.none") : t("list.no-match")}</p>
        )}
        {found.length > SHOWN && <p className="ll-listbox-none">{t("list.more", { count: found.length - SHOWN })}</p>}
      </div>
    </div>,
    document.body,
  );
}

/** Under the anchor, or over it where there is more room. */
function place(anchor: HTMLElement, count: number): React.CSSProperties {
  const rect = anchor.getBoundingClientRect();
  const height = Math.min(HEIGHT, 60 + count * 28);
  const below = window.innerHeight - rect.bottom;
  const left = Math.max(8, Math.min(rect.left, window.innerWidth - Math.max(rect.width, 220) - 8));
  const over = below < height && rect.top > below;
  return {
    left,
    minWidth: Math.max(rect.width, 220),
    maxHeight: Math.min(HEIGHT, (over ? rect.top : below) - 12),
    ...(over ? { bottom: window.innerHeight - rect.top + 4 } : { top: rect.bottom + 4 }),
  };
}

/** Closes on a press outside, and when the canvas moves under it. */
function useDismissal(box: React.RefObject<HTMLDivElement | null>, anchor: HTMLElement, close: () => void) {
  const latest = useRef(close);
  useEffect(() => {
    latest.current = close;
  });
  useEffect(() => {
    const outside = (event: Event) => {
      const target = event.target as Node;
      if (!box.current?.contains(target) && !anchor.contains(target)) latest.current();
    };
    const gone = () => latest.current();
    document.addEventListener("pointerdown", outside, true);
    document.addEventListener("wheel", outside, { capture: true, passive: true });
    window.addEventListener("resize", gone);
    return () => {
      document.removeEventListener("pointerdown", outside, true);
      document.removeEventListener("wheel", outside, true);
      window.removeEventListener("resize", gone);
    };
  }, [box, anchor]);
}
