/** A section with a heading and, beside it, chips with the SQL and the HTTP call that return the same data. */
import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Copy } from "./copy";
import { keepInside } from "./popover";

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
  const popover = useRef<HTMLDivElement>(null);
  // With `useEffect`, which runs after the next frame, an Escape before that would be lost.
  useLayoutEffect(() => {
    if (!open) return;
    const place = () => popover.current && keepInside(popover.current);
    const close = (event: Event) => {
      const key = event instanceof KeyboardEvent;
      if (key ? event.key === "Escape" : !root.current?.contains(event.target as Node)) setOpen(false);
      if (key && event.key === "Escape") root.current?.querySelector("button")?.focus();
    };
    addEventListener("pointerdown", close);
    addEventListener("keydown", close);
    addEventListener("resize", place);
    place();
    return () => {
      removeEventListener("pointerdown", close);
      removeEventListener("keydown", close);
      removeEventListener("resize", place);
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
        <div class="source-text" data-source={name} ref={popover}>
          <pre tabIndex={0}>{text}</pre>
          <Copy text={text} />
        </div>
      )}
    </div>
  );
}
