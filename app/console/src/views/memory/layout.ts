/** The messages between the page and the thread of the layout. */

export type ToLayout =
  | {
      kind: "start";
      count: number;
      /** Send the final positions alone. */
      still: boolean;
    }
  | { kind: "edges"; from: Uint16Array; to: Uint16Array; similarity: Float32Array; last: boolean }
  | { kind: "drawn"; buffer: Float32Array };

export interface FromLayout {
  /** x and y of each node in turn. */
  buffer: Float32Array;
  /** Nothing moves any more. */
  resting: boolean;
}
