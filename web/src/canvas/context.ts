/** The stage for components, and how they subscribe narrowly: each to the one value it draws. */

import { createContext, useContext, useLayoutEffect, useMemo } from "react";
import { useStore } from "zustand";
import type { StepRun } from "../app/stores";
import type { Problem } from "../core/types";
import type { SceneNode } from "./scene_types";
import type { Stage, UiState } from "./stage";

export const StageContext = createContext<Stage | null>(null);

export function useStage(): Stage {
  const stage = useContext(StageContext);
  if (!stage) throw new Error("It is used outside of a Canvas.");
  return stage;
}

/** A step as the scene has it: another object only when it has changed. */
export function useSceneNode(id: string): SceneNode | undefined {
  const stage = useStage();
  return useStore(stage.changes, () => stage.scene.nodes.get(id));
}

export function useUi<T>(select: (ui: UiState) => T): T {
  return useStore(useStage().ui, select);
}

export function useSelected(id: string): boolean {
  return useStore(useStage().stores.view, (view) => view.selection.has(id));
}

/** One value of what the run says of a step. Never `done`: progress goes past React. */
export function useStepRun<T>(id: string, select: (run: StepRun | undefined) => T): T {
  const stage = useStage();
  return useStore(stage.stores.run, (run) => select(run.steps[stage.runKey(id)]));
}

const NONE: readonly Problem[] = [];

/** What is wrong with a step, from live validation, else from the run. A subgraph shows what is wrong inside of it. */
export function useProblems(id: string): readonly Problem[] {
  const stage = useStage();
  const live = useStore(stage.shownProblems, (shown) => shown.byStep.get(id) ?? NONE);
  const ran = useStepRun(id, (run) => (run?.state === "failed" ? run.problems : NONE));
  const key = stage.runKey(id);
  const own = useMemo(() => ran.map((one) => (one.step === key ? { ...one, step: id } : one)), [ran, key, id]);
  return live.length > 0 ? live : own;
}

/** Its element is in the page: it is not painted any more. */
export function useCommitted(id: string): void {
  const stage = useStage();
  useLayoutEffect(() => {
    stage.window.committed.add(id);
    stage.requestPaint();
    return () => {
      stage.window.committed.delete(id);
      stage.requestPaint();
    };
  }, [stage, id]);
}
