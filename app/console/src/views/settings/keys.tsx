/** The tab for keys. */
import { useState } from "preact/hooks";
import { json } from "../../api/client";
import type { CreatedKey, KeyEntry, RotatedKey } from "../../api/types";
import type { Field } from "../../lib/fields";
import { time } from "../../lib/format";
import { tenantId } from "../../lib/sql";
import { Copy } from "../../ui/copy";
import { Form } from "../../ui/form";
import { toast } from "../../ui/toasts";
import { ADMIN, Delete, EntityTable, useList } from "./table";

const FIELDS: Field[] = [
  { name: "name", kind: "text", help: "its purpose" },
  { name: "expires_at", kind: "text", help: "a date and time such as 2027-01-31T00:00:00Z; empty: never" },
  { name: "scopes", kind: "list", help: "of ask, teach and manage; empty: what its models allow" },
  { name: "models", kind: "list", help: "the only models that may serve it; empty: all" },
];

export function Keys({ tenant }: { tenant: string }) {
  const path = `${ADMIN}/tenants/${encodeURIComponent(tenant)}/keys`;
  const list = useList<KeyEntry>(path);
  const [secret, setSecret] = useState<string | null>(null);
  return (
    <>
      {secret !== null && (
        <div class="note good" role="status">
          <p>
            This is the only time that the key is shown: <code data-secret>{secret}</code>
          </p>
          <span class="row">
            <Copy text={secret} />
            <button type="button" class="button small" onClick={() => setSecret(null)}>
              I have it
            </button>
          </span>
        </div>
      )}
      <EntityTable
        title={`Keys of ${tenant}`}
        path={path}
        sql={`select * from router.list_keys(${tenantId(tenant)});`}
        list={list}
        idOf={(row) => (row.name === "" ? row.hint : row.name)}
        empty="Make a key: an application sends it as its api_key."
        add="Make a key"
        editable={(row) => row.revoked_at === null}
        columns={[
          { title: "key", cell: (row) => <code>{row.hint}…</code> },
          { title: "name", cell: (row) => row.name },
          { title: "created", cell: (row) => time(row.created_at) },
          { title: "expires", cell: (row) => (row.expires_at === null ? "never" : time(row.expires_at)) },
          { title: "scopes", cell: (row) => row.scopes.join(", ") },
          { title: "models", cell: (row) => row.models?.join(", ") ?? "all" },
          {
            title: "state",
            cell: (row) => (
              <span class={`badge ${row.revoked_at ? "bad" : ""}`}>
                {row.revoked_at ? "revoked" : "valid"}
              </span>
            ),
          },
        ]}
        edit={(row, close) => (
          <>
            <Form
              fields={FIELDS}
              before={row ?? {}}
              submit={row === null ? "Make the key" : "Save"}
              onSubmit={async (values) => {
                if (row === null)
                  setSecret((await json<CreatedKey>(path, { json: values, admin: true })).api_key);
                else await json(`${path}/${row.id}`, { method: "PATCH", json: values, admin: true });
                close();
              }}
            />
            {row !== null && (
              <div class="row">
                <button
                  type="button"
                  class="button small"
                  onClick={() =>
                    void json<RotatedKey>(`${path}/${row.id}/rotate`, { json: {}, admin: true }).then(
                      (made) => {
                        setSecret(made.api_key);
                        close();
                      },
                    )
                  }
                >
                  Replace by a new key
                </button>
                <Delete
                  what={`the key ${row.hint}…`}
                  onDelete={async () => {
                    await json(`${path}/${row.id}`, { method: "DELETE", admin: true });
                    toast("The key was revoked.");
                    close();
                  }}
                />
              </div>
            )}
          </>
        )}
      />
    </>
  );
}
