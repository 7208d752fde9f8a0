/** SQL and shell text for the chips of a panel. */

/** A string literal of SQL. */
export function literal(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`;
  return text.includes("\\") ? ` E${quoted.replaceAll("\\", "\\\\")}`.trimStart() : quoted;
}

/** The number of a tenant as a subquery. */
export function tenantId(name: string): string {
  return `(select tenant_id from router.tenants where name = ${literal(name)})`;
}

/** The row of a policy in the overview: its settings and the size of its memory. */
export function overviewSql(tenant: string, policy: string): string {
  return `select * from router.overview where tenant = ${literal(tenant)} and policy = ${literal(policy)};`;
}

/** A word of a POSIX shell. */
export function shellWord(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A curl command for a call of the API, with the key in $PGROUTER_KEY (of an administrator: $PGROUTER_ADMIN_KEY). */
export function curl(
  path: string,
  options: { method?: string; json?: unknown; admin?: boolean } = {},
): string {
  const key = options.admin === true ? "$PGROUTER_ADMIN_KEY" : "$PGROUTER_KEY";
  const parts = [`curl -s ${shellWord(location.origin + path)}`, `-H "Authorization: Bearer ${key}"`];
  const implied = options.json === undefined ? "GET" : "POST";
  if (options.method !== undefined && options.method !== implied) parts.push(`-X ${options.method}`);
  if (options.json !== undefined) {
    parts.push("-H 'Content-Type: application/json'", `-d ${shellWord(JSON.stringify(options.json))}`);
  }
  return parts.join(" \\\n  ");
}
