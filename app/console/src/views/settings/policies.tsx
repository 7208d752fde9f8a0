/** The tab for policies. */
import { json } from "../../api/client";
import { refresh } from "../../api/shared";
import type { PolicyEntry } from "../../api/types";
import type { Field } from "../../lib/fields";
import { tenantId } from "../../lib/sql";
import { Form } from "../../ui/form";
import { toast } from "../../ui/toasts";
import { ADMIN, Delete, EntityTable, useList } from "./table";

const NAME: Field = { name: "name", kind: "text", required: true, help: "the value of `model` in requests" };
const FIELDS: Field[] = [
  {
    name: "backend",
    kind: "choice",
    choices: ["knn", "cheapest", "fastest", "weighted", "none"],
    help: "knn learns",
  },
  { name: "default_model", kind: "text", help: "serves if the decision is declined" },
  { name: "models", kind: "list", help: "the candidates" },
  {
    name: "granularity",
    kind: "choice",
    choices: ["conversation", "step"],
    help: "the message that is embedded",
  },
  { name: "alpha", kind: "number", help: "quality given up to save the cost of the dearest candidate" },
  { name: "k", kind: "number", help: "neighbours consulted" },
  { name: "tau", kind: "number", help: "kernel width; inf: all neighbours alike" },
  { name: "n0", kind: "number", help: "weight of the prior, in neighbours, where there is no fit" },
  { name: "n0_task", kind: "number", help: "the same if the request names a task or it is guessed" },
  { name: "n1", kind: "number", help: "weight of the model's mean in a task's prior, in labels" },
  { name: "seed_count", kind: "number", help: "memories needed before the memory decides" },
  { name: "confidence_floor", kind: "number", help: "least share of an estimate from neighbours, 0 to 1" },
  { name: "switch_penalty", kind: "number", help: "quality subtracted for leaving a conversation's model" },
  { name: "sticky_seconds", kind: "number", help: "time a conversation stays with its model" },
  { name: "explore_share", kind: "number", help: "share of new requests for candidates with few labels" },
  { name: "explore_labels", kind: "number", help: "labels at which a candidate is no longer explored" },
  { name: "base_weight", kind: "number", help: "weight of the shared memory, in own memories" },
  { name: "n2", kind: "number", help: "weight of all candidates' mean in a model's mean, in labels" },
  { name: "ease", kind: "number", help: "weight of an average prompt in a prompt's ease; inf: ignore ease" },
  {
    name: "transfer",
    kind: "number",
    help: "greatest share of an estimate from other models' labels, 0 to 1",
  },
  { name: "fit_n0", kind: "choice", choices: ["on", "off"], help: "whether maintenance chooses n0" },
  {
    name: "guess_task",
    kind: "choice",
    choices: ["fit", "never", "always"],
    help: "whether a missing task tag is guessed; fit: where it helps",
  },
];

export function Policies({ tenant }: { tenant: string }) {
  const path = `${ADMIN}/tenants/${encodeURIComponent(tenant)}/policies`;
  const list = useList<PolicyEntry>(path);
  return (
    <EntityTable
      title={`Policies of ${tenant}`}
      path={path}
      sql={`select * from router.list_policies(${tenantId(tenant)});`}
      list={list}
      idOf={(row) => row.name}
      empty="Add a policy: requests give its name as their model."
      add="Add a policy"
      columns={[
        { title: "name", cell: (row) => <code>{row.name}</code> },
        { title: "backend", cell: (row) => row.backend },
        { title: "default model", cell: (row) => row.default_model },
        { title: "candidates", cell: (row) => row.models.join(", ") },
        { title: "alpha", number: true, cell: (row) => row.alpha },
        { title: "seed count", number: true, cell: (row) => row.seed_count },
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
              void refresh();
            }}
          />
          {row !== null && (
            <Delete
              what={`the policy ${row.name}`}
              onDelete={async () => {
                await json(`${path}/${encodeURIComponent(row.name)}`, { method: "DELETE", admin: true });
                toast(`${row.name} was deleted.`);
                close();
                void refresh();
              }}
            />
          )}
        </>
      )}
    />
  );
}
