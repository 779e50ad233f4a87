import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

/** The bench's page, built as the editor is, so that what is measured is what is shipped. */
export default defineConfig({
  root: import.meta.dirname,
  base: "./",
  plugins: [react()],
  build: {
    outDir: "../node_modules/.bench",
    emptyOutDir: true,
    target: "es2023",
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1200,
  },
});
