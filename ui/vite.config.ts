import preact from "@preact/preset-vite";
import { defineConfig } from "vitest/config";

/** The program that is asked while the page is developed: `serin run`, or the address that `serin demo` prints. */
const program = process.env.SERIN ?? "http://127.0.0.1:7878";

// Names without hashes: the built files are committed, and a change of one is then a change of that file alone.
export default defineConfig({
  plugins: [preact({ devToolsEnabled: false, prefreshEnabled: true })],
  build: {
    target: "es2023",
    outDir: "dist",
    assetsDir: "",
    modulePreload: { polyfill: false },
    // A data: address is none of ours, and the policy of the page refuses it.
    assetsInlineLimit: 0,
    rollupOptions: {
      output: {
        entryFileNames: "app.js",
        chunkFileNames: "[name].js",
        assetFileNames: "app[extname]",
        codeSplitting: false,
      },
    },
  },
  server: {
    proxy: {
      "/v1": { target: program, changeOrigin: true, headers: { origin: program } },
    },
  },
  test: { environment: "jsdom", include: ["test/**/*.test.{ts,tsx}"] },
});
