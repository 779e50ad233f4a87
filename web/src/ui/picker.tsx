/** A search field over a list: arrows move, Enter takes, and the field keeps the focus throughout. */
import { Search } from "lucide-react";
import { type KeyboardEvent, type ReactNode, useId, useLayoutEffect, useRef, useState } from "react";
import "./picker.css";

export interface Pickable {
  id: string;
}

interface Props<T extends Pickable> {
  label: string;
  placeholder: string;
  query: string;
  setQuery: (query: string) => void;
  items: readonly T[];
  show: (item: T) => ReactNode;
  pick: (item: T) => void;
  close: () => void;
  none: string;
  /** Below the list: more about the item that Enter would take. */
  about?: (item: T) => ReactNode;
}

export function Picker<T extends Pickable>(props: Props<T>): ReactNode {
  const { label, placeholder, query, setQuery, items, show, pick, close, none, about } = props;
  const id = useId();
  const [at, setAt] = useState(0);
  const list = useRef<HTMLDivElement>(null);
  const now = Math.min(at, items.length - 1);
  const current = items[now];

  useLayoutEffect(() => {
    list.current?.children[now]?.scrollIntoView({ block: "nearest" });
  }, [now]);

  const key = (event: KeyboardEvent) => {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
    if (by) {
      event.preventDefault();
      if (!items.length) return;
      const next =
        Math.abs(by) === 1
          ? (now + by + items.length) % items.length
          : Math.max(0, Math.min(items.length - 1, now + by));
      setAt(next);
    } else if (event.key === "Enter" && current && !event.nativeEvent.isComposing) {
      event.preventDefault();
      pick(current);
    } else if (event.key === "Escape") {
      event.preventDefault();
      close();
    }
    event.stopPropagation();
  };

  return (
    <div className="picker">
      <div className="search">
        <Search size={16} />
        <input
          className="field"
          type="text"
          role="combobox"
          aria-label={label}
          aria-expanded="true"
          aria-controls={id}
          aria-autocomplete="list"
          aria-activedescendant={current ? `${id}-${now}` : undefined}
          placeholder={placeholder}
          value={query}
          // biome-ignore lint/a11y/noAutofocus: it was opened to be typed into.
          autoFocus
          spellCheck={false}
          autoComplete="off"
          onChange={(event) => {
            setQuery(event.target.value);
            setAt(0);
          }}
          onKeyDown={key}
        />
      </div>
      {items.length ? (
        <div className="options" ref={list} id={id} role="listbox" aria-label={label} tabIndex={-1}>
          {items.map((item, index) => (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the field above has the keys.
            <div
              key={item.id}
              id={`${id}-${index}`}
              role="option"
              aria-selected={index === now}
              tabIndex={-1}
              onMouseMove={() => setAt(index)}
              onClick={() => pick(item)}
            >
              {show(item)}
            </div>
          ))}
        </div>
      ) : (
        <p id={id} className="empty">
          {none}
        </p>
      )}
      {about && current ? <div className="about">{about(current)}</div> : null}
    </div>
  );
}

/** A text with parts of it marked. */
export function Marked({ text, ranges }: { text: string; ranges: readonly (readonly [number, number])[] }): ReactNode {
  const parts: ReactNode[] = [];
  let at = 0;
  for (const [from, to] of ranges) {
    if (from < at) continue;
    parts.push(text.slice(at, from), <mark key={from}>{text.slice(from, to)}</mark>);
    at = to;
  }
  return [...parts, text.slice(at)];
}
