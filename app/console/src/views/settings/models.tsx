/** The tab for models. */
import { json } from "../../api/client";
import { refresh } from "../../api/shared";
import type { ModelEntry } from "../../api/types";
import type { Field } from "../../lib/fields";
import { Form } from "../../ui/form";
import { toast } from "../../ui/toasts";
import { ADMIN, EntityTable, useList } from "./table";

const NAME: Field = { name: "name", kind: "text", required: true, help: "the value of `model` in requests" };
const FIELDS: Field[] = [
  { name: "provider", kind: "text", help: "the provider that serves it" },
  { name: "upstream_name", kind: "text", help: "the provider's name for it" },
  { name: "enabled", kind: "flag", help: "off: neither listed nor used; its labels stay" },
  { name: "input_price", kind: "number", help: "USD per million prompt tokens" },
  { name: "cached_input_price", kind: "number", help: "USD per million cached prompt tokens" },
  { name: "output_price", kind: "number", help: "USD per million completion tokens" },
  { name: "context_window", kind: "number", help: "prompt plus completion tokens" },
  { name: "max_output", kind: "number", help: "most completion tokens" },
  { name: "tools", kind: "maybe", help: "supports tool calls" },
  { name: "parallel_tools", kind: "maybe", help: "supports several at once" },
  { name: "vision", kind: "maybe", help: "accepts images" },
  { name: "audio", kind: "maybe", help: "accepts and returns audio" },
  { name: "json_schema", kind: "maybe", help: "follows a JSON schema" },
  { name: "reasoning", kind: "maybe", help: "accepts a reasoning effort" },
];
const CAPABILITIES = ["tools", "parallel_tools", "vision", "audio", "json_schema", "reasoning"] as const;

/** The settings of a model as `pgrouter model add --set` takes them. */
function settingsOf(row: ModelEntry): string {
  return Object.entries(row.settings)
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(", ");
}

export function Models() {
  const path = `${ADMIN}/models`;
  const list = useList<ModelEntry>(path);
  return (
    <EntityTable
      title="Models"
      path={path}
      sql="select * from router.list_models();"
      list={list}
      idOf={(row) => row.name}
      empty="Add a provider first, then a model that it serves."
      add="Add a model"
      columns={[
        {
          title: "name",
          cell: (row) => (
            <>
              <strong>{row.name}</strong> {!row.enabled && <span class="badge warn">disabled</span>}
            </>
          ),
        },
        { title: "provider", cell: (row) => row.provider },
        { title: "settings", cell: (row) => settingsOf(row) || "–" },
        { title: "input", number: true, cell: (row) => row.input_price ?? "–" },
        { title: "cached", number: true, cell: (row) => row.cached_input_price ?? "–" },
        { title: "output", number: true, cell: (row) => row.output_price ?? "–" },
        { title: "prices of", cell: (row) => row.priced_by ?? "–" },
        { title: "context", number: true, cell: (row) => row.context_window?.toLocaleString("en") ?? "–" },
        {
          title: "capabilities",
          cell: (row) => CAPABILITIES.filter((name) => row[name] === true).join(", ") || "–",
        },
      ]}
      edit={(row, close) => (
        <Form
          fields={row === null ? [NAME, ...FIELDS] : FIELDS}
          before={row ?? { enabled: true }}
          submit={row === null ? "Add" : "Save"}
          onSubmit={async ({ name, ...values }, all) => {
            const which = row?.name ?? all.name?.trim() ?? String(name);
            await json(`${path}/${encodeURIComponent(which)}`, { method: "PUT", json: values, admin: true });
            toast("Saved.");
            close();
            void refresh();
          }}
        />
      )}
    />
  );
}
