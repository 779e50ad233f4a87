/** Every command on a document: `store.run(addStep(…))`. */

export * from "./arrange";
export * from "./clipboard";
export * from "./groups";
export * from "./links";
export * from "./nesting";
export * from "./ports";
export * from "./replace";
export * from "./seeds";
export * from "./steps";
export * from "./subgraphs";
