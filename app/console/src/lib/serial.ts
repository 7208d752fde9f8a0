/** Calls one after the other: the server lets a tenant have one measurement at a time. */

let last: Promise<unknown> = Promise.resolve();

interface Refusal {
  status: number;
}

/** Milliseconds after which a call that was refused as busy is tried again, and how often. */
const WAIT = 700;
const TRIES = 8;

/** Run `work` when those before it have ended; skip it if `signal` was aborted meanwhile. */
export function inTurn<T>(work: () => Promise<T>, signal: AbortSignal, wait = WAIT): Promise<T> {
  const mine = last.then(async () => {
    for (let tries = 1; ; tries++) {
      if (signal.aborted) throw new DOMException("Superseded", "AbortError");
      try {
        return await work();
      } catch (error) {
        // Another tab measures, or a call that was aborted here has not ended there.
        if ((error as Partial<Refusal>).status !== 429 || tries === TRIES) throw error;
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
  });
  last = mine.catch(() => undefined);
  return mine;
}
