import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    environment: "node",
    include: ["src/**/*.test.{ts,tsx}", "bench/**/*.test.ts"],
    pool: "threads",
    maxWorkers: 2,
    // A busy machine is no failure.
    testTimeout: 60_000,
  },
});
