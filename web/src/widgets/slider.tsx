/** A bounded number: a native slider, with the number beside it. */

import { useRef } from "react";
import { NumberWidget } from "./number";
import { stepOf } from "./number_form";
import { newGesture, type WidgetProps } from "./props";

export function SliderWidget(props: WidgetProps) {
  const { id, def, value, set, label } = props;
  const gesture = useRef("");
  const number = typeof value === "number" ? value : 0;
  return (
    <span className="ll-slider">
      <input
        type="range"
        className="ll-range"
        aria-label={label}
        min={def.min ?? 0}
        max={def.max ?? 1}
        step={stepOf(def)}
        value={number}
        onPointerDown={() => {
          gesture.current = newGesture(`slide ${id}`);
        }}
        onKeyDown={() => {
          gesture.current ||= newGesture(`slide ${id}`);
        }}
        onBlur={() => {
          gesture.current = "";
        }}
        onChange={(event) => set(Number(event.target.value), gesture.current || undefined)}
      />
      <NumberWidget {...props} />
    </span>
  );
}
