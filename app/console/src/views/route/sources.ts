/** The SQL of the walk's panels. A prompt's embedding comes from `pgrouter embed`, as only it knows the embedder. */
import type { MemoryStatus } from "../../api/types";
import { literal, shellWord } from "../../lib/sql";
import type { Question } from "./question";

/** The line of psql that puts the embedding into the variable `vector`. */
function embedding(question: Question, tenant: string): string {
  const command = `pgrouter embed --tenant ${shellWord(tenant)} -- ${shellWord(question.prompt)}`;
  // Within backticks psql passes the text to a shell; a line break would end the command of psql.
  return `\\set vector \`${command.replaceAll("`", "'\\`'").replaceAll("\n", " ")}\``;
}

function named(question: Question): string {
  const given = [
    question.k === null ? "" : `p_k => ${question.k}`,
    question.tau === null ? "" : `p_tau => ${question.tau}`,
  ].filter((each) => each !== "");
  return given.length ? `, ${given.join(", ")}` : "";
}

function from(status: MemoryStatus, policy: string): string {
  return `from router.tenants as t
inner join router.policies as p on p.tenant_id = t.tenant_id and p.name = ${literal(policy)}
inner join router.spaces as s on s.name = ${literal(status.embedder)}`;
}

/** The estimates and scores of the candidates. */
export function explainSql(question: Question, status: MemoryStatus, policy: string, tokens: number): string {
  const task = question.task === "" ? "null" : literal(question.task);
  const alpha = question.alpha === null ? "" : `, p_alpha => ${question.alpha}`;
  return `${embedding(question, status.tenant)}
select e.model, e.reason, e.score, e.quality, e.prior, e.ease, e.borrowed, e.share, e.confidence, e.cost_usd, e.why
${from(status, policy)}
cross join lateral router.explain(
  t.tenant_id, p.policy_id, s.space_id, :'vector', ${task}, ${Math.round(tokens)}, p.default_model${alpha}${named(question)}
) as e
where t.name = ${literal(status.tenant)};`;
}

/** The neighbours. */
export function evidenceSql(question: Question, status: MemoryStatus, policy: string, limit: number): string {
  const task = question.task === "" ? "" : `, p_task => ${literal(question.task)}`;
  return `${embedding(question, status.tenant)}
select e.memory_id, e.similarity, e.weight, e.models, e.scores, e.candidates, e.effects, e.prompt
${from(status, policy)}
cross join lateral router.evidence(t.tenant_id, p.policy_id, s.space_id, :'vector', ${limit}${named(question)}${task}) as e
where t.name = ${literal(status.tenant)};`;
}

/** The settings and the size of the memory that the gates read. */
export function gatesSql(status: MemoryStatus, policy: string): string {
  return `select * from router.overview where tenant = ${literal(status.tenant)} and policy = ${literal(policy)};`;
}
