/** What a Chromium trace says of the main thread: CPU milliseconds in each frame between two marks. */

/** Record a trace while `work` runs; its events. */
export async function traced(cdp, work) {
  const events = [];
  const heard = ({ value }) => {
    for (const one of value) events.push(one);
  };
  cdp.on("Tracing.dataCollected", heard);
  await cdp.send("Tracing.start", {
    traceConfig: {
      includedCategories: ["toplevel", "devtools.timeline", "blink.user_timing"],
      recordMode: "recordAsMuchAsPossible",
    },
    transferMode: "ReportEvents",
  });
  await work();
  const done = new Promise((resolve) => cdp.once("Tracing.tracingComplete", resolve));
  await cdp.send("Tracing.end");
  await done;
  cdp.off("Tracing.dataCollected", heard);
  return events;
}

/** CPU milliseconds of the renderer's main thread in each frame that the driver marked. */
export function frames(events) {
  const marks = events
    .filter((one) => one.cat?.includes("blink.user_timing") && one.name.startsWith("bench-frame-"))
    .sort((a, b) => a.ts - b.ts);
  if (marks.length < 2) return [];
  const { pid, tid } = marks[0];
  const tasks = events
    .filter((one) => one.pid === pid && one.tid === tid && one.ph === "X" && isTask(one))
    .sort((a, b) => a.ts - b.ts);
  const made = Array.from({ length: marks.length - 1 }, () => 0);
  let end = 0;
  for (const task of tasks) {
    if (task.ts < end) continue; // nested: counted with the one around it
    end = task.ts + (task.dur ?? 0);
    // A task belongs to the frame in which it ends: a mark is set inside of the task that begins the frame.
    let at = marks.findIndex((mark) => mark.ts > end);
    at = at < 0 ? marks.length : at;
    if (at >= 1 && at <= made.length) made[at - 1] += (task.tdur ?? task.dur ?? 0) / 1000;
  }
  return made;
}

const isTask = (one) =>
  one.name === "RunTask" || one.name === "ThreadControllerImpl::RunTask" || one.name === "ThreadPool_RunTask";

export function quantile(values, part) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] : Number.NaN;
}
