/** Every command on a document: `store.run(addStep(…))`. */

export * from "./links";
export * from "./steps";
