/** The tab for tenants. */
import { json } from "../../api/client";
import { refresh } from "../../api/shared";
import type { TenantEntry } from "../../api/types";
import type { Field } from "../../lib/fields";
import { Form } from "../../ui/form";
import { toast } from "../../ui/toasts";
import { ADMIN, Delete, EntityTable, useList } from "./table";

const FIELDS: Field[] = [
  { name: "memory_cap", kind: "number", help: "memories kept; the oldest beyond it are deleted" },
  { name: "store_prompts", kind: "flag", help: "off: only hashes and embeddings of prompts are stored" },
  { name: "route_explicit", kind: "flag", help: "route requests that name a candidate of the policy auto" },
  { name: "shared", kind: "flag", help: "other tenants may use its memory for estimates" },
  { name: "base", kind: "text", help: "the tenant whose shared memory it uses" },
  { name: "default_provider", kind: "text", help: "serves paths that name no model" },
];
const NAME: Field = { name: "name", kind: "text", required: true, help: "unique" };

export function Tenants({ onOpen }: { onOpen: (name: string) => void }) {
  const path = `${ADMIN}/tenants`;
  const list = useList<TenantEntry>(path);
  return (
    <EntityTable
      title="Tenants"
      path={path}
      sql="select * from router.list_tenants();"
      list={list}
      idOf={(row) => row.name}
      empty="Add a tenant: it gets the policy auto and a key of its own."
      add="Add a tenant"
      columns={[
        {
          title: "name",
          cell: (row) => (
            <button type="button" class="link" onClick={() => onOpen(row.name)}>
              {row.name}
            </button>
          ),
        },
        { title: "memories", number: true, cell: (row) => row.memories.toLocaleString("en") },
        { title: "keys", number: true, cell: (row) => row.keys },
        { title: "policies", number: true, cell: (row) => row.policies },
        { title: "prompts", cell: (row) => (row.store_prompts ? "stored" : "hashes only") },
        { title: "base", cell: (row) => row.base ?? "–" },
      ]}
      edit={(row, close) => (
        <>
          <Form
            fields={row === null ? [NAME] : FIELDS}
            before={row ?? {}}
            submit={row === null ? "Add" : "Save"}
            onSubmit={async (values) => {
              if (row === null) await json(path, { json: values, admin: true });
              else
                await json(`${path}/${encodeURIComponent(row.name)}`, {
                  method: "PATCH",
                  json: values,
                  admin: true,
                });
              toast(row === null ? "The tenant was added. Make a key for it next." : "Saved.");
              close();
              void refresh();
            }}
          />
          {row !== null && (
            <Delete
              what={`${row.name} with its keys and ${row.memories} memories`}
              onDelete={async () => {
                await json(`${path}/${encodeURIComponent(row.name)}`, { method: "DELETE", admin: true });
                toast(`${row.name} was deleted.`);
                close();
              }}
            />
          )}
        </>
      )}
    />
  );
}
