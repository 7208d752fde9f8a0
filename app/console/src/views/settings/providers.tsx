/** The tab for providers. */
import { json } from "../../api/client";
import type { BreakerEntry, ProviderEntry } from "../../api/types";
import type { Field } from "../../lib/fields";
import { Form } from "../../ui/form";
import { toast } from "../../ui/toasts";
import { ADMIN, Delete, EntityTable, useList } from "./table";

const NAME: Field = { name: "name", kind: "text", required: true, help: "unique" };
const FIELDS: Field[] = [
  { name: "base_url", kind: "text", help: "as the openai client takes it, without /chat/completions" },
  { name: "key_variable", kind: "text", help: "the environment variable of the proxy that holds its key" },
  { name: "speaks", kind: "list", help: "the APIs: chat, responses, messages, completions, embeddings" },
  {
    name: "key_header",
    kind: "choice",
    choices: ["authorization", "x-api-key", "api-key"],
    help: "carries the key",
  },
];

export function Providers() {
  const path = `${ADMIN}/providers`;
  const list = useList<ProviderEntry>(path);
  const breakers = useList<BreakerEntry>(`${ADMIN}/breakers`);
  return (
    <EntityTable
      title="Providers"
      path={path}
      sql="select * from router.list_providers();"
      list={list}
      idOf={(row) => row.name}
      empty="Add a provider: its base URL, and the environment variable that has its key."
      add="Add a provider"
      columns={[
        { title: "name", cell: (row) => <strong>{row.name}</strong> },
        { title: "base URL", cell: (row) => <code>{row.base_url}</code> },
        { title: "key variable", cell: (row) => row.key_variable ?? "–" },
        { title: "APIs", cell: (row) => row.speaks.join(", ") },
        {
          title: "breakers (of this process)",
          cell: (row) => (
            <BreakerStates states={(breakers.data ?? []).filter((each) => each.provider === row.name)} />
          ),
        },
        { title: "models", number: true, cell: (row) => row.models },
      ]}
      edit={(row, close) => (
        <>
          <Form
            fields={row === null ? [NAME, ...FIELDS] : FIELDS}
            before={row ?? {}}
            submit={row === null ? "Add" : "Save"}
            onSubmit={async ({ name, ...values }, all) => {
              const which = row?.name ?? all.name?.trim() ?? String(name);
              await json(`${path}/${encodeURIComponent(which)}`, {
                method: "PUT",
                json: values,
                admin: true,
              });
              toast("Saved.");
              close();
            }}
          />
          {row !== null && (
            <Delete
              what={`the provider ${row.name}`}
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

/** The models of a provider that recent requests failed on; without any, every breaker is closed. */
function BreakerStates({ states }: { states: readonly BreakerEntry[] }) {
  if (states.length === 0) return <span class="muted">all closed</span>;
  return (
    <>
      {states.map((each) => (
        <span
          key={each.model}
          class={`badge ${each.state === "open" ? "bad" : each.state === "closed" ? "" : "warn"}`}
        >
          {each.model}: {each.state.replace("_", " ")}
        </span>
      ))}
    </>
  );
}
