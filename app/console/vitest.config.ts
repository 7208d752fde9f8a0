/** Runs the unit tests of pure logic, which lie beside it as NAME.test.ts. */
import { defineConfig } from "vitest/config";

export default defineConfig({ test: { include: ["src/**/*.test.ts"], environment: "node" } });
