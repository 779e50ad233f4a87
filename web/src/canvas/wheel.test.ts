import { describe, expect, it } from "vitest";
import { type WheelLike, WheelReader } from "./wheel";

const event = (more: Partial<WheelLike>): WheelLike => ({
  deltaX: 0,
  deltaY: 0,
  deltaMode: 0,
  ctrlKey: false,
  metaKey: false,
  shiftKey: false,
  timeStamp: 0,
  ...more,
});

describe("the wheel", () => {
  it("of a mouse zooms, and as far in as out", () => {
    const out = new WheelReader().read(event({ deltaY: 120 }));
    const back = new WheelReader().read(event({ deltaY: -120 }));
    expect(out.does).toBe("zoom");
    if (out.does === "zoom" && back.does === "zoom") {
      expect(out.factor).toBeLessThan(1);
      expect(out.factor * back.factor).toBeCloseTo(1);
    }
  });

  it("of a trackpad pans in both directions", () => {
    expect(new WheelReader().read(event({ deltaX: 3, deltaY: -7 }))).toEqual({ does: "pan", dx: -3, dy: 7 });
  });

  it("stays a trackpad's through a fast movement", () => {
    const reader = new WheelReader();
    reader.read(event({ deltaY: 4, timeStamp: 1000 }));
    expect(reader.read(event({ deltaY: 160, timeStamp: 1016 })).does).toBe("pan");
    expect(reader.read(event({ deltaY: 120, timeStamp: 5000 })).does).toBe("zoom");
  });

  it("with Ctrl is a pinch", () => {
    const pinch = new WheelReader().read(event({ deltaY: -5, ctrlKey: true }));
    expect(pinch.does === "zoom" && pinch.factor).toBeGreaterThan(1);
  });

  it("with Shift pans sideways", () => {
    expect(new WheelReader().read(event({ deltaY: 120, shiftKey: true }))).toEqual({ does: "pan", dx: -120, dy: 0 });
  });

  it("turned in lines counts them as pixels", () => {
    const lines = new WheelReader().read(event({ deltaY: 3, deltaMode: 1 }));
    expect(lines.does).toBe("zoom");
  });

  it("always pans, or always zooms, where that is set; with Ctrl it zooms, with Shift a mouse's goes sideways", () => {
    const mouse = event({ deltaY: 120 });
    const trackpad = event({ deltaX: 3, deltaY: -7 });
    expect(new WheelReader().read(mouse, "pan")).toEqual({ does: "pan", dx: -0, dy: -120 });
    expect(new WheelReader().read(trackpad, "pan")).toEqual({ does: "pan", dx: -3, dy: 7 });
    for (const one of [mouse, trackpad]) {
      expect(new WheelReader().read(one, "zoom").does).toBe("zoom");
      for (const setting of ["pan", "zoom", "auto"] as const) {
        expect(new WheelReader().read({ ...one, ctrlKey: true }, setting).does).toBe("zoom");
      }
    }
    for (const setting of ["pan", "zoom", "auto"] as const) {
      expect(new WheelReader().read({ ...mouse, shiftKey: true }, setting)).toEqual({ does: "pan", dx: -120, dy: 0 });
    }
  });
});
