/**
 * The live connection: what happens on the server, in order, and nothing twice.
 *
 * It says where it was, (epoch, seq), when it comes back, and hears what it missed or a new snapshot. It waits longer
 * after each failure, with chance in it so that many browsers do not all come at once.
 */
import type { LiveMessage, PreviewHeader } from "./wire";

export type Spoken = Exclude<LiveMessage, PreviewHeader>;

export interface Listener {
  message(message: Spoken): void;
  preview(header: PreviewHeader, picture: Blob): void;
  /** `lost` until it is back; `refused` when this browser has no token any more. */
  state(state: "connecting" | "live" | "lost" | "refused"): void;
}

/** Seconds to wait before the nth attempt after a loss: 0.25, 0.5, 1, … 8; `chance` in [0, 1) takes up to half off. */
export function backOff(attempt: number, chance: number): number {
  return Math.min(8, 0.25 * 2 ** Math.max(0, attempt)) * (1 - chance / 2);
}

/** A binary message: length of a JSON header (u32, big endian), the header, the picture. Null when it is none. */
export function readPreview(data: ArrayBuffer): { header: PreviewHeader; picture: Blob } | null {
  if (data.byteLength < 4) return null;
  const length = new DataView(data).getUint32(0);
  if (length > data.byteLength - 4) return null;
  try {
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length))) as PreviewHeader;
    if (header.type !== "preview") return null;
    return { header, picture: new Blob([new Uint8Array(data, 4 + length)], { type: header.media }) };
  } catch {
    return null;
  }
}

/** Keeps the place. Says whether an event is new; a snapshot or a welcome sets the place. */
export class Place {
  epoch = "";
  seq = -1;

  take(message: Spoken): boolean {
    if (message.type === "snapshot" || message.type === "welcome") {
      this.epoch = message.epoch;
      if (message.type === "snapshot") this.seq = message.seq;
      else this.seq = Math.max(this.seq, 0);
      return true;
    }
    if (message.type !== "event") return true;
    if (message.epoch === this.epoch && message.seq <= this.seq) return false;
    this.epoch = message.epoch;
    this.seq = message.seq;
    return true;
  }

  query(): string {
    return this.epoch ? `?epoch=${encodeURIComponent(this.epoch)}&seq=${this.seq}` : "";
  }
}

/** Connects and stays connected until it is closed. */
export function connectLive(listener: Listener, base = location.origin): { close(): void; retryNow(): void } {
  const place = new Place();
  const address = `${base.replace(/^http/, "ws")}/api/live`;
  let socket: WebSocket | null = null;
  let attempt = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let closed = false;

  function connect(): void {
    clearTimeout(timer);
    const mine = new WebSocket(address + place.query());
    socket = mine;
    mine.binaryType = "arraybuffer";
    mine.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      if (mine !== socket) return;
      if (typeof data !== "string") {
        const read = readPreview(data);
        if (read) listener.preview(read.header, read.picture);
        return;
      }
      const message = JSON.parse(data) as Spoken;
      if (!place.take(message)) return;
      if (message.type === "snapshot" || message.type === "welcome") {
        attempt = 0;
        listener.message(message);
        listener.state("live");
      } else listener.message(message);
    };
    mine.onclose = () => {
      if (closed || mine !== socket) return;
      listener.state("lost");
      timer = setTimeout(connect, 1000 * backOff(attempt, Math.random()));
      attempt += 1;
      // Whether the server is gone or this browser is not let in any more cannot be told from the socket.
      if (attempt === 2) void stillLetIn();
    };
  }

  async function stillLetIn(): Promise<void> {
    const answer = await fetch(`${base}/api/queue`).catch(() => null);
    if (answer?.status !== 401 || closed) return;
    closed = true;
    clearTimeout(timer);
    listener.state("refused");
  }

  listener.state("connecting");
  connect();
  return {
    close() {
      closed = true;
      clearTimeout(timer);
      socket?.close();
    },
    retryNow() {
      if (closed || socket?.readyState === WebSocket.OPEN || socket?.readyState === WebSocket.CONNECTING) return;
      attempt = 0;
      connect();
    },
  };
}
