/** Reads a response piece by piece. */

/** Takes text that may end anywhere, and returns the items that are complete. */
export interface Splitter<T> {
  feed(text: string): T[];
}

/** Yields the items of a response as they arrive; the response is cancelled if the caller stops early. */
export async function* split<T>(response: Response, splitter: Splitter<T>): AsyncGenerator<T> {
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* splitter.feed(value);
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
