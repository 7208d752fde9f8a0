import { describe, expect, it } from "vitest";
import { inTurn } from "./serial";

const live = new AbortController().signal;

describe("inTurn", () => {
  it("runs one call after the other", async () => {
    const events: string[] = [];
    const call = (name: string) => async () => {
      events.push(`begin ${name}`);
      await new Promise((resolve) => setTimeout(resolve, 1));
      events.push(`end ${name}`);
    };
    await Promise.all([inTurn(call("a"), live), inTurn(call("b"), live)]);
    expect(events).toEqual(["begin a", "end a", "begin b", "end b"]);
  });

  it("skips a call that was superseded, and goes on after one that failed", async () => {
    const abort = new AbortController();
    abort.abort();
    await expect(inTurn(() => Promise.resolve(1), abort.signal)).rejects.toThrow("Superseded");
    await expect(inTurn(() => Promise.reject(new Error("no")), live)).rejects.toThrow("no");
    expect(await inTurn(() => Promise.resolve(2), live)).toBe(2);
  });

  it("tries again while the server is busy", async () => {
    let calls = 0;
    const busy = () =>
      ++calls < 3 ? Promise.reject(Object.assign(new Error(), { status: 429 })) : Promise.resolve(3);
    expect(await inTurn(busy, live, 1)).toBe(3);
  });
});
