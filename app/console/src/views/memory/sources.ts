/** The SQL of the panels. */
import type { MemoryStatus } from "../../api/types";
import { literal, tenantId } from "../../lib/sql";
import { GOOD } from "../../lib/sufficient";
import { NONE, type Filters } from "./filters";

function call(status: MemoryStatus): string {
  const space = `(select space_id from router.spaces where name = ${literal(status.embedder)})`;
  return `${tenantId(status.tenant)},\n  ${space}`;
}

/** The memories of the map. */
export function nodesSql(status: MemoryStatus): string {
  return `-- The edges: router.memory_edges with the same arguments.
select * from router.memory_nodes(\n  ${call(status)}\n);`;
}

/** The memories of the list. */
export function listSql(
  status: MemoryStatus,
  filters: Filters,
  models: readonly string[],
  limit: number,
): string {
  const searched = filters.search !== "";
  const from = searched
    ? `router.recall(\n  ${tenantId(status.tenant)}, ${literal(filters.search)}, p_limit => ${limit}\n)`
    : `router.memory_nodes(\n  ${call(status)}\n)`;
  const good = `(
  select c.name from unnest(array[${models.map(literal).join(", ")}]::text[]) with ordinality as c (name, place)
  where m.scores[array_position(m.models, c.name)] >= ${GOOD} order by c.place limit 1
)`;
  const equal = (column: string, value: string) =>
    value === NONE ? `${column} is null` : `${column} = ${literal(value)}`;
  const conditions = [
    filters.task === "" ? "" : equal("m.task", filters.task),
    filters.source === "" ? "" : equal("m.source", filters.source),
    filters.suffices === "" ? "" : equal(good, filters.suffices),
  ].filter((each) => each !== "");
  const where = conditions.length === 0 ? "" : `\nwhere ${conditions.join("\nand ")}`;
  return `select m.* from ${from} as m${where};`;
}

/** One memory. */
export function memorySql(status: MemoryStatus, id: number): string {
  return `select * from router.recall(${tenantId(status.tenant)}, p_memories => '{${id}}');`;
}
