import { describe, expect, it } from "vitest";
import { backOff, Place, readPreview } from "./live";
import type { EventMessage } from "./wire";

const event = (epoch: string, seq: number): EventMessage => ({
  type: "event",
  epoch,
  seq,
  run: "r",
  time: 0,
  data: {},
});
const workers: never[] = [];

describe("the place in what happens", () => {
  it("takes each event once", () => {
    const place = new Place();
    place.take({ type: "welcome", epoch: "a", seq: 0, workers });
    expect([1, 2, 2, 1, 3].map((seq) => place.take(event("a", seq)))).toEqual([true, true, false, false, true]);
  });

  it("begins anew when the server's history is another", () => {
    const place = new Place();
    place.take({ type: "welcome", epoch: "a", seq: 0, workers });
    place.take(event("a", 9));
    expect(place.take(event("b", 1))).toBe(true);
    expect(place.query()).toBe("?epoch=b&seq=1");
  });

  it("says nothing of where it was before it was anywhere", () => {
    expect(new Place().query()).toBe("");
  });
});

describe("a preview", () => {
  const frame = (header: string, picture: number[], length = header.length) => {
    const bytes = new Uint8Array(4 + header.length + picture.length);
    new DataView(bytes.buffer).setUint32(0, length);
    bytes.set(new TextEncoder().encode(header), 4);
    bytes.set(picture, 4 + header.length);
    return bytes.buffer;
  };
  const header = JSON.stringify({ type: "preview", run: "r", step: "s", media: "image/jpeg" });

  it("is its header and the bytes after it", async () => {
    const read = readPreview(frame(header, [1, 2, 3]));
    expect(read?.header.step).toBe("s");
    expect(read?.picture.type).toBe("image/jpeg");
    const picture = read?.picture ?? new Blob();
    expect([...new Uint8Array(await picture.arrayBuffer())]).toEqual([1, 2, 3]);
  });

  it("that is cut off or no preview is none", () => {
    expect(readPreview(new ArrayBuffer(2))).toBeNull();
    expect(readPreview(frame(header, [], 4000))).toBeNull();
    expect(readPreview(frame('{"type":"other"}', []))).toBeNull();
    expect(readPreview(frame("{", []))).toBeNull();
  });
});

it("waits longer after each failure, never more than eight seconds and never less than half", () => {
  const waits = [0, 1, 2, 3, 4, 5, 6].map((attempt) => backOff(attempt, 0));
  expect(waits).toEqual([...waits].sort((a, b) => a - b));
  expect(Math.max(...waits)).toBe(8);
  expect(backOff(3, 0.999)).toBeGreaterThanOrEqual(backOff(3, 0) / 2);
});
