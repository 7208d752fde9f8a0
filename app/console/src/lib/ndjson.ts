/** JSON values of a response, one a line. */
import { split, type Splitter } from "./pieces";

/** Splits text, which may end anywhere, into the values of its lines; `feed` returns those that are complete. */
export class LineSplitter implements Splitter<unknown> {
  private rest = "";

  feed(text: string): unknown[] {
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop() ?? "";
    return lines.filter((line) => line.trim() !== "").map((line) => JSON.parse(line) as unknown);
  }
}

/** Yields the values of a response as they arrive. */
export function values(response: Response): AsyncGenerator {
  return split(response, new LineSplitter());
}
