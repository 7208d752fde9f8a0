/**
 * The force layout of the map, beside the page's thread. It advances by a few milliseconds for each frame that the page
 * has drawn, which returns the buffer of the positions, and rests when nothing moves any more.
 */
import {
  forceLink,
  forceManyBody,
  forceSimulation,
  forceX,
  forceY,
  type SimulationLinkDatum,
  type SimulationNodeDatum,
} from "d3-force";
import type { FromLayout, ToLayout } from "./layout";

interface Link extends SimulationLinkDatum<SimulationNodeDatum> {
  similarity: number;
}

/** Below it nothing moves by a visible amount. */
const RESTING = 0.006;
/** Milliseconds of ticks for each frame: the page, the compositor and Postgres need processors too. */
const BUDGET = 7;

let nodes: SimulationNodeDatum[] = [];
let links: Link[] = [];
let buffer: Float32Array | null = null;
let still = false;
let sent = false;

const springs = forceLink<SimulationNodeDatum, Link>([])
  .distance((link) => 14 + 60 * (1 - Math.max(0, link.similarity)))
  .iterations(1);
const simulation = forceSimulation<SimulationNodeDatum>([])
  .force("springs", springs)
  .force("charge", forceManyBody().strength(-16).theta(1.1).distanceMax(420))
  .force("x", forceX(0).strength(0.045))
  .force("y", forceY(0).strength(0.06))
  .alphaDecay(0.03)
  .stop();

self.onmessage = (event: MessageEvent<ToLayout>) => {
  const message = event.data;
  if (message.kind === "start") {
    nodes = Array.from({ length: message.count }, () => ({}));
    links = [];
    still = message.still;
    buffer = new Float32Array(2 * message.count);
    simulation.nodes(nodes).alpha(0.6);
    springs.links(links);
  } else if (message.kind === "edges") {
    for (let i = 0; i < message.from.length; i++) {
      const [source = 0, target = 0] = [message.from[i], message.to[i]];
      links.push({ source, target, similarity: message.similarity[i] ?? 0 });
    }
    springs.links(links);
    simulation.alpha(Math.max(simulation.alpha(), message.last ? 0.8 : 0.35));
  } else {
    buffer = message.buffer;
  }
  advance();
};

function advance(): void {
  if (buffer === null || (simulation.alpha() <= RESTING && sent)) return;
  const until = performance.now() + BUDGET;
  do simulation.tick();
  while (performance.now() < until && simulation.alpha() > RESTING);
  const resting = simulation.alpha() <= RESTING;
  if (still && !resting) {
    // With reduced motion the page sees the end alone.
    setTimeout(advance);
    return;
  }
  for (let i = 0; i < nodes.length; i++) {
    buffer[2 * i] = nodes[i]?.x ?? 0;
    buffer[2 * i + 1] = nodes[i]?.y ?? 0;
  }
  const answer: FromLayout = { buffer, resting };
  self.postMessage(answer, { transfer: [buffer.buffer] });
  buffer = null;
  sent = true;
}
