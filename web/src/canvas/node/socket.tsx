/** A socket: a button, so that mouse, finger and keyboard can all begin and end a wire at it. */

import { memo } from "react";
import { useStore } from "zustand";
import { useStage } from "../context";
import { socketFit } from "../fitting";
import type { SceneSocket } from "../scene_types";
import { socketLabel } from "../words";

export const SocketButton = memo(function SocketButton({ socket }: { socket: SceneSocket }) {
  const stage = useStage();
  // While a wire is drawn each socket says whether it fits; else this is one and the same value.
  const fit = useStore(stage.ui, ({ pending }) => (pending ? socketFit(stage, pending, socket) : ""));
  const label = useStore(stage.changes, () => socketLabel(stage.scene, socket));
  const joined = socket.joined ? "ll-joined" : "";
  return (
    <button
      type="button"
      className={`ll-socket ll-${socket.side} ll-${socket.shape} ${joined} ${fit && `ll-fit-${fit}`}`}
      style={{ "--c": socket.color, left: socket.x, top: socket.y } as React.CSSProperties}
      data-socket={socket.name}
      data-side={socket.side}
      data-index={socket.index}
      aria-label={label}
      title={socket.type}
    />
  );
});
