/** Whether a person wants less to move by itself: by the system, or by the editor's own setting. */
export const wantsLessMotion = (): boolean =>
  document.documentElement.dataset.motion === "reduced" || matchMedia("(prefers-reduced-motion: reduce)").matches;
