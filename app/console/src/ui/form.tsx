/** A form that sends the fields that were changed, and shows the server's error at the field that it names. */
import { useState } from "preact/hooks";
import { ApiError } from "../api/client";
import { changed, toText, type Field } from "../lib/fields";

interface Props {
  fields: readonly Field[];
  /** The values before; of a new thing empty. */
  before?: Readonly<Record<string, unknown>>;
  submit: string;
  /** Send the changed values; an `ApiError` that it raises is shown. `all` has the text of every field. */
  onSubmit: (values: Record<string, unknown>, all: Record<string, string>) => Promise<void>;
}

export function Form({ fields, before = {}, submit, onSubmit }: Props) {
  const [texts, setTexts] = useState<Record<string, string>>(() =>
    Object.fromEntries(fields.map((field) => [field.name, toText(before[field.name])])),
  );
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const send = async () => {
    setBusy(true);
    setError(null);
    try {
      await onSubmit(changed(fields, before, texts), texts);
    } catch (caught) {
      setError(caught instanceof ApiError ? caught : new ApiError(String(caught), 0));
    } finally {
      setBusy(false);
    }
  };
  const param = error?.param ?? null;
  const known = fields.some((field) => field.name === param);
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <div class="form-fields">
        {fields.map((field) => (
          <Input
            key={field.name}
            field={field}
            text={texts[field.name] ?? ""}
            error={field.name === param ? (error?.message ?? null) : null}
            onChange={(text) => setTexts((all) => ({ ...all, [field.name]: text }))}
          />
        ))}
      </div>
      {error && !known && (
        <p class="note bad" role="alert">
          {error.message}
        </p>
      )}
      <button type="submit" class="button primary" disabled={busy}>
        {submit}
      </button>
    </form>
  );
}

interface InputProps {
  field: Field;
  text: string;
  error: string | null;
  onChange: (text: string) => void;
}

function Input({ field, text, error, onChange }: InputProps) {
  const id = `field-${field.name}`;
  const shared = {
    id,
    required: field.required ?? false,
    disabled: field.fixed ?? false,
    "aria-describedby": `${id}-help`,
    "aria-invalid": error !== null,
  };
  const choices = field.kind === "maybe" ? ["true", "false"] : field.choices;
  return (
    <div class={`form-field ${error === null ? "" : "wrong"}`}>
      {field.kind === "flag" ? (
        <label class="row">
          <input
            {...shared}
            type="checkbox"
            checked={text === "true"}
            onChange={(event) => onChange(String(event.currentTarget.checked))}
          />
          {field.name}
        </label>
      ) : (
        <>
          <label for={id}>{field.name}</label>
          {choices ? (
            <select {...shared} value={text} onChange={(event) => onChange(event.currentTarget.value)}>
              <option value="">{field.kind === "maybe" ? "unknown" : "–"}</option>
              {choices.map((each) => (
                <option key={each}>{each}</option>
              ))}
            </select>
          ) : (
            <input
              {...shared}
              value={text}
              inputMode={field.kind === "number" ? "decimal" : "text"}
              spellcheck={false}
              autocomplete="off"
              onInput={(event) => onChange(event.currentTarget.value)}
            />
          )}
        </>
      )}
      <p class="muted form-help" id={`${id}-help`}>
        {error === null ? field.help : <span role="alert">{error}</span>}
      </p>
    </div>
  );
}
