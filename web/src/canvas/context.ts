/** The stage for components, and how they subscribe narrowly: each to the one value it draws. */

import { createContext, useContext } from "react";
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
const byStep = new WeakMap<readonly Problem[], Map<string, Problem[]>>();

/** What is wrong with a step, from live validation and from the run. */
export function useProblems(id: string): readonly Problem[] {
  const stage = useStage();
  const live = useStore(stage.stores.problems, ({ problems }) => ofStep(problems, stage.runKey(id)));
  const ran = useStepRun(id, (run) => (run?.state === "failed" ? run.problems : NONE));
  return live.length > 0 || ran.length === 0 ? live : ran;
}

function ofStep(problems: readonly Problem[], id: string): readonly Problem[] {
  let map = byStep.get(problems);
  if (!map) {
    map = new Map();
    for (const problem of problems) {
      const known = map.get(problem.step);
      if (known) known.push(problem);
      else map.set(problem.step, [problem]);
    }
    byStep.set(problems, map);
  }
  return map.get(id) ?? NONE;
}
