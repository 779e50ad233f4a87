/** Which widget shows a knob. Only what the node says of the knob decides; no node is known by name. */

import type { ComponentType } from "react";
import type { KnobDef } from "../core/types";
import { ChoiceWidget } from "./choice";
import { ColorWidget } from "./color";
import { FileWidget } from "./file";
import { FloatsWidget } from "./floats";
import { ForeignWidgetHost } from "./foreign";
import { NumberWidget } from "./number";
import { useWidgetServices, type WidgetProps } from "./props";
import { SeedWidget } from "./seed";
import { SliderWidget } from "./slider";
import { TextWidget } from "./text";
import { ToggleWidget } from "./toggle";
import "./widgets.css";

export { newGesture, type SeedProps, type WidgetProps, type WidgetServices, WidgetServicesContext } from "./props";
export { randomSeed } from "./seed";

export function widgetFor(def: KnobDef, foreign = true): ComponentType<WidgetProps> {
  if (def.widget && foreign) return ForeignWidgetHost;
  switch (def.type) {
    case "INT":
    case "FLOAT":
      if (def.seed) return SeedWidget;
      return def.slider && def.min !== null && def.max !== null ? SliderWidget : NumberWidget;
    case "BOOLEAN":
      return ToggleWidget;
    case "CHOICE":
      return ChoiceWidget;
    case "FILE":
      return FileWidget;
    case "FLOATS":
      return FloatsWidget;
    default:
      return def.color ? ColorWidget : TextWidget;
  }
}

export function Widget(props: WidgetProps) {
  const services = useWidgetServices();
  const off = props.def.widget ? (services.widgetOff?.(props.def.widget) ?? false) : false;
  const Shown = widgetFor(props.def, !off);
  return <Shown {...props} />;
}
