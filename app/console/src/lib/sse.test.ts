import { describe, expect, it } from "vitest";
import { EventSplitter } from "./sse";

describe("EventSplitter", () => {
  it("returns an event when its blank line arrives, wherever the text is cut", () => {
    const text = ': hello\n\nevent: answer\ndata: {"a":1}\n\ndata: two\ndata: lines\n\n';
    for (let cut = 0; cut < text.length; cut++) {
      const splitter = new EventSplitter();
      const found = [...splitter.feed(text.slice(0, cut)), ...splitter.feed(text.slice(cut))];
      expect(found).toEqual([
        { event: "answer", data: '{"a":1}' },
        { event: "message", data: "two\nlines" },
      ]);
    }
  });

  it("holds an event back that has not ended", () => {
    expect(new EventSplitter().feed("data: half")).toEqual([]);
  });

  it("reads lines that end with CR LF", () => {
    expect(new EventSplitter().feed("data: x\r\n\r\n")).toEqual([{ event: "message", data: "x" }]);
  });
});
