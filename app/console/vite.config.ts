/** Builds the page into dist/, with a content hash in the name of every file but index.html. */
import { defineConfig } from "vite";

export default defineConfig({
  base: "/console/",
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: {
    target: "es2022",
    // A data: URL would need an exception in the Content-Security-Policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  // `npm run dev` serves the sources; the API is the one of `make run`.
  server: { proxy: { "/v1": "http://127.0.0.1:8000" } },
});
