/** Server-sent events of a response body. */
import { split, type Splitter } from "./pieces";

export interface ServerEvent {
  /** The field `event`; `message` if there is none. */
  event: string;
  data: string;
}

/** Splits text, which may end anywhere, into events; `feed` returns those that are complete. */
export class EventSplitter implements Splitter<ServerEvent> {
  private rest = "";

  feed(text: string): ServerEvent[] {
    const blocks = (this.rest + text).split(/\r?\n\r?\n/);
    this.rest = blocks.pop() ?? "";
    return blocks.map(parse).filter((event) => event !== null);
  }
}

function parse(block: string): ServerEvent | null {
  let event = "message";
  const data: string[] = [];
  for (const line of block.split(/\r?\n/)) {
    if (line.startsWith("event:")) event = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(line[5] === " " ? 6 : 5));
  }
  return data.length ? { event, data: data.join("\n") } : null;
}

/** Yields the events of a response as they arrive. */
export function events(response: Response): AsyncGenerator<ServerEvent> {
  return split(response, new EventSplitter());
}
