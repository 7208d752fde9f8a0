/** The tab for a tenant's own prices. */
import { json } from "../../api/client";
import type { PriceEntry } from "../../api/types";
import type { Field } from "../../lib/fields";
import { tenantId } from "../../lib/sql";
import { Form } from "../../ui/form";
import { toast } from "../../ui/toasts";
import { ADMIN, Delete, EntityTable, useList } from "./table";

const FIELDS: Field[] = [
  { name: "input_price", kind: "number", help: "USD per million prompt tokens" },
  { name: "cached_input_price", kind: "number", help: "USD per million cached prompt tokens" },
  { name: "output_price", kind: "number", help: "USD per million completion tokens" },
];

export function Prices({ tenant }: { tenant: string }) {
  const path = `${ADMIN}/tenants/${encodeURIComponent(tenant)}/prices`;
  const list = useList<PriceEntry>(path);
  return (
    <EntityTable
      title={`Prices that ${tenant} pays`}
      path={path}
      sql={`select * from router.prices(${tenantId(tenant)});`}
      list={list}
      idOf={(row) => row.model}
      empty="Add a model first."
      columns={[
        { title: "model", cell: (row) => <strong>{row.model}</strong> },
        { title: "provider", cell: (row) => row.provider },
        { title: "input", number: true, cell: (row) => row.input_price ?? "–" },
        { title: "cached", number: true, cell: (row) => row.cached_input_price ?? "–" },
        { title: "output", number: true, cell: (row) => row.output_price ?? "–" },
        { title: "as of", cell: (row) => row.priced_on ?? "–" },
        { title: "origin", cell: (row) => row.origin ?? "unknown" },
      ]}
      edit={(row, close) =>
        row && (
          <>
            <Form
              fields={FIELDS}
              before={{ ...row }}
              submit="Save for this tenant"
              onSubmit={async (_, all) => {
                const prices = Object.fromEntries(
                  Object.entries(all).map(([name, text]) => [name, text.trim() === "" ? null : Number(text)]),
                );
                await json(`${path}/${encodeURIComponent(row.model)}`, {
                  method: "PUT",
                  json: prices,
                  admin: true,
                });
                toast("Saved.");
                close();
              }}
            />
            <Delete
              what={`the tenant's own price of ${row.model}`}
              onDelete={async () => {
                await json(`${path}/${encodeURIComponent(row.model)}`, { method: "DELETE", admin: true });
                toast("The model's list price holds again.");
                close();
              }}
            />
          </>
        )
      }
    />
  );
}
