/** A section with a heading and, beside it, chips with the SQL and the HTTP call that return the same data. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { Copy } from "./copy";

interface Source {
  /** SQL that returns the rows of the panel in psql. */
  sql?: string | undefined;
  /** The HTTP call as a shell command. */
  curl?: string | undefined;
}

interface Props extends Source {
  title: string;
  /** A class of the section. */
  kind?: string;
  /** Buttons at the right of the heading. */
  actions?: ComponentChildren;
  children: ComponentChildren;
}

export function Panel({ title, kind = "", actions, sql, curl, children }: Props) {
  const id = useId();
  return (
    <section class={`panel ${kind}`} aria-labelledby={id}>
      <header class="panel-head">
        <h2 id={id}>{title}</h2>
        <div class="panel-tools">
          {actions}
          <Sources sql={sql} curl={curl} about={title} />
        </div>
      </header>
      {children}
    </section>
  );
}

/** The chips `psql` and `curl`. */
export function Sources({ sql, curl, about }: Source & { about: string }) {
  return (
    <>
      {sql !== undefined && <SourceChip name="psql" text={sql} about={about} />}
      {curl !== undefined && <SourceChip name="curl" text={curl} about={about} />}
    </>
  );
}

function SourceChip({ name, text, about }: { name: string; text: string; about: string }) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return;
    const close = (event: Event) => {
      const key = event instanceof KeyboardEvent;
      if (key ? event.key === "Escape" : !root.current?.contains(event.target as Node)) setOpen(false);
      if (key && event.key === "Escape") root.current?.querySelector("button")?.focus();
    };
    addEventListener("pointerdown", close);
    addEventListener("keydown", close);
    return () => {
      removeEventListener("pointerdown", close);
      removeEventListener("keydown", close);
    };
  }, [open]);
  return (
    <div class="source" ref={root}>
      <button
        type="button"
        class="chip"
        aria-expanded={open}
        aria-label={`${name}: ${about}`}
        onClick={() => setOpen(!open)}
      >
        {name}
      </button>
      {open && (
        <div class="source-text" data-source={name}>
          <pre tabIndex={0}>{text}</pre>
          <Copy text={text} />
        </div>
      )}
    </div>
  );
}
