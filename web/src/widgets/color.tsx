/** A colour: the system's picker, and its name as text. */

import { useRef } from "react";
import { t } from "../ui/text";
import { newGesture, type WidgetProps } from "./props";
import { TextWidget } from "./text";

const HEX = /^#[0-9a-f]{6}$/i;

export function ColorWidget(props: WidgetProps) {
  const { id, value, set, label } = props;
  const gesture = useRef("");
  return (
    <span className="ll-color">
      <TextWidget {...props} def={{ ...props.def, multiline: false }} />
      <input
        type="color"
        aria-label={t("color.picker", { label })}
        value={typeof value === "string" && HEX.test(value) ? value : "#000000"}
        onFocus={() => {
          gesture.current = newGesture(`colour ${id}`);
        }}
        onChange={(event) => set(event.target.value, gesture.current)}
      />
    </span>
  );
}
