/** JSON values of a response, one a line. */

/** Splits text, which may end anywhere, into the values of its lines; `feed` returns those that are complete. */
export class LineSplitter {
  private rest = "";

  feed(text: string): unknown[] {
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop() ?? "";
    return lines.filter((line) => line.trim() !== "").map((line) => JSON.parse(line) as unknown);
  }
}

/** Yields the values of a response as they arrive. */
export async function* values(response: Response): AsyncGenerator {
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const splitter = new LineSplitter();
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
