/** The map: similar prompts lie together. The list beside it has the same memories for keyboards and screen readers. */
import { useEffect, useRef, useState } from "preact/hooks";
import { percent } from "../../lib/format";
import type { Graph } from "./data";
import { followPointers, pressed, type Reactions } from "./gestures";
import { MapScene } from "./scene";

interface Props extends Omit<Reactions, "hover" | "selecting"> {
  graph: Graph;
  colours: Uint8Array;
  mask: Uint8Array;
  /** Numbers of nodes. */
  selected: ReadonlySet<number>;
  /** A memory that the list points at; -1: none. */
  pointed: number;
  selecting: boolean;
  map: { current: MapScene | null };
}

export function MemoryMap({ graph, colours, mask, selected, pointed, selecting, map, open, select }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [hovered, setHovered] = useState(-1);
  const [ready, setReady] = useState(false);
  const reactions = useRef({ selecting, open, select });
  reactions.current = { selecting, open, select };

  useEffect(() => {
    const element = canvas.current;
    if (element === null) return;
    const scene = new MapScene(element, graph.edges, graph.nodes.length);
    map.current = scene;
    setReady(false);
    scene.onReady = () => setReady(true);
    const end = followPointers(element, scene, {
      selecting: () => reactions.current.selecting,
      open: (node) => reactions.current.open(node),
      select: (nodes, toggle) => reactions.current.select(nodes, toggle),
      hover: setHovered,
    });
    return () => {
      end();
      scene.close();
      map.current = null;
    };
  }, [graph.edges]);
  useEffect(() => map.current?.update({ colours, mask, selected }), [colours, mask, selected, graph.edges]);
  const shown = hovered >= 0 ? hovered : pointed;
  useEffect(() => map.current?.update({ hovered: shown }), [shown]);
  const at = map.current?.placeOf(shown) ?? null;
  const node = graph.nodes[shown];
  const share = graph.nodes.length === 0 ? 1 : graph.edges.done / graph.nodes.length;
  return (
    <div class={`map-stage ${selecting ? "selecting" : ""}`}>
      <canvas
        ref={canvas}
        tabIndex={0}
        role="img"
        aria-label={`Map of ${graph.nodes.length - graph.hidden.size} taught prompts, similar ones near each other. The list has the same memories. Arrow keys move the map, plus and minus zoom.`}
        onKeyDown={(event) => pressed(event, map.current)}
      />
      {node && at && (
        <p
          class={`map-tip ${at.y < 120 ? "below" : ""}`}
          style={{ left: `${at.x}px`, top: `${at.y}px` }}
          aria-hidden="true"
        >
          <span>{node.prompt ?? "(this tenant stores no prompts)"}</span>
        </p>
      )}
      {(!ready || share < 1) && (
        <p class="map-state muted">
          {ready ? `comparing prompts: ${percent(share)}` : "arranging the map …"}
        </p>
      )}
    </div>
  );
}
