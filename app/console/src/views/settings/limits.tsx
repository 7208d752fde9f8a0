/** The tab for limits. */
import { json } from "../../api/client";
import type { LimitEntry } from "../../api/types";
import type { Field } from "../../lib/fields";
import { usd } from "../../lib/format";
import { literal } from "../../lib/sql";
import { Form } from "../../ui/form";
import { toast } from "../../ui/toasts";
import { ADMIN, Delete, EntityTable, useList } from "./table";

const FIELDS: Field[] = [
  { name: "requests_per_minute", kind: "number", help: "and in one burst; empty: no limit" },
  { name: "tokens_per_minute", kind: "number", help: "and in one burst; empty: no limit" },
  { name: "day_usd", kind: "number", help: "USD a day (UTC)" },
  { name: "month_usd", kind: "number", help: "USD a month (UTC)" },
];
const KEY: Field = { name: "key_id", kind: "number", help: "the number of a key; empty: the whole tenant" };

/** What is left of a limit as text. */
function left(
  limit: number | null | undefined,
  rest: number | null | undefined,
  shown: (value: number) => string = String,
): string {
  return limit === null || limit === undefined ? "–" : `${shown(rest ?? limit)} of ${shown(limit)}`;
}

export function Limits({ tenant }: { tenant: string }) {
  const base = `${ADMIN}/tenants/${encodeURIComponent(tenant)}`;
  const path = `${base}/limits`;
  const list = useList<LimitEntry>(path);
  const addressOf = (key: number | null) => (key === null ? path : `${base}/keys/${key}/limits`);
  return (
    <EntityTable
      title={`Limits of ${tenant}, with what is left`}
      path={path}
      sql={`select * from router.budgets where tenant = ${literal(tenant)};`}
      list={list}
      idOf={(row) => (row.key_id === null ? "the whole tenant" : (row.key ?? `key ${row.key_id}`))}
      empty="Nothing limits this tenant. Add requests and tokens a minute, or USD a day and month."
      add="Set a limit"
      columns={[
        { title: "of", cell: (row) => (row.key_id === null ? "tenant" : (row.key ?? row.key_id)) },
        {
          title: "requests/min",
          number: true,
          cell: (row) => left(row.requests_per_minute, row.requests_left),
        },
        { title: "tokens/min", number: true, cell: (row) => left(row.tokens_per_minute, row.tokens_left) },
        { title: "day", number: true, cell: (row) => left(row.day_usd, row.day_left_usd, usd) },
        { title: "month", number: true, cell: (row) => left(row.month_usd, row.month_left_usd, usd) },
        { title: "reserved", number: true, cell: (row) => usd(row.reserved_usd) },
      ]}
      edit={(row, close) => (
        <>
          <Form
            fields={row === null ? [KEY, ...FIELDS] : FIELDS}
            before={{ ...row }}
            submit="Save"
            onSubmit={async ({ key_id: key, ...values }) => {
              const which =
                row === null ? ((key as number | null | undefined) ?? null) : (row.key_id ?? null);
              await json(addressOf(which), { method: "PUT", json: values, admin: true });
              toast("Saved.");
              close();
            }}
          />
          {row !== null && (
            <Delete
              what="these limits"
              onDelete={async () => {
                await json(addressOf(row.key_id ?? null), { method: "DELETE", admin: true });
                toast("The limits were removed.");
                close();
              }}
            />
          )}
        </>
      )}
    />
  );
}
