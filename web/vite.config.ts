import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import { licences } from "./scripts/licences";

/** Where a running `latentloom serve --trust-loopback` is, for the development server. */
const server = process.env.LATENTLOOM_SERVER ?? "http://127.0.0.1:8188";

export default defineConfig({
  plugins: [react(), licences()],
  build: {
    outDir: "../graph_runtime/static",
    emptyOutDir: true,
    target: "es2023",
    // The page's policy allows no script in it, and a preload helper would be one more request.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1200,
  },
  worker: { format: "es" },
  server: {
    proxy: {
      // The server asks for its own Origin, as it asks for its own Host.
      "/api": { target: server, ws: true, changeOrigin: true, headers: { origin: server } },
      "/extensions": { target: server, changeOrigin: true },
    },
  },
});
