/** Teach: judge answers side by side, and watch the memory become warm. */
import "./teach.css";
import { useEffect, useRef, useState } from "preact/hooks";
import { json } from "../../api/client";
import { useQuery } from "../../api/query";
import { policy as currentPolicy, policyName, status } from "../../api/shared";
import type { SamplePrompt } from "../../api/types";
import { curl, overviewSql } from "../../lib/sql";
import { place } from "../../location";
import { tenantKey } from "../../session";
import { Panel } from "../../ui/panel";
import { useShortcuts } from "../../ui/shortcuts";
import { Warmth } from "../../ui/warmth";
import { Answers } from "./answers";
import { Asking } from "./asking";
import { Files } from "./files";
import { bodyOf, questionOfAddress, showInAddress, toPrompt, type Question } from "./question";
import { useComparison } from "./stream";
import { lessons } from "./taught";
import { TaughtList } from "./taught-list";

export default function TeachView() {
  const samples = useQuery(
    (signal) =>
      json<{ data: SamplePrompt[] }>(`/v1/router/samples?policy=${encodeURIComponent(policyName.value)}`, {
        signal,
      }),
    [tenantKey.value, policyName.value],
  );
  const [question, setQuestion] = useState<Question>(questionOfAddress);
  /** The question that the answers are to. */
  const [asked, setAsked] = useState<Question | null>(null);
  const running = useComparison();
  const answers = useRef<HTMLDivElement>(null);
  const found = samples.data?.data ?? [];
  const models = question.models ?? currentPolicy.value?.models ?? [];

  const change = (part: Partial<Question>) => {
    const next = { ...question, ...part };
    setQuestion(next);
    // Not at each key of the prompt: browsers limit how often an address may change.
    if (part.prompt === undefined) showInAddress(next);
  };
  const ask = () => {
    showInAddress(question);
    setAsked(question);
    answers.current?.focus({ preventScroll: true });
    void running.run(bodyOf(question, models));
  };
  const takeSample = () => {
    const taught = new Set(lessons.value.map((each) => each.prompt));
    const at = found.findIndex((each) => each.prompt === question.prompt);
    const next = [...found.slice(at + 1), ...found.slice(0, at + 1)];
    const sample = next.find((each) => !taught.has(each.prompt)) ?? next[0];
    if (!sample) return;
    running.clear();
    setAsked(null);
    const changed = { ...question, prompt: sample.prompt };
    setQuestion(changed);
    showInAddress(changed);
  };

  // The box is never empty at first.
  useEffect(() => {
    if (found.length > 0 && question.prompt === "" && asked === null) takeSample();
  }, [samples.data]);
  // A link of a colleague that is opened in this tab.
  useEffect(() => {
    const given = questionOfAddress();
    if (given.prompt !== "" && given.prompt !== question.prompt && asked === null) setQuestion(given);
  }, [place.value]);

  const state = status.value;
  const policy = currentPolicy.value;
  return (
    <div class="teach">
      <div class="stack">
        <Asking
          question={question}
          chosen={models}
          samples={found}
          busy={running.busy}
          asked={asked !== null}
          onChange={change}
          onAsk={ask}
          onSample={takeSample}
        />
        {asked === null && <Keys onNext={takeSample} />}
        <div ref={answers} tabIndex={-1} class="answers-place">
          {asked !== null && (
            <Answers
              key={asked.prompt}
              asked={asked}
              judge={question.judge}
              running={running}
              sample={found.find((each) => each.prompt === asked.prompt && each.answers.length > 0)}
              onJudge={(judge) => change({ judge })}
              onNext={takeSample}
            />
          )}
        </div>
      </div>
      <div class="stack side">
        {state && policy && (
          <Panel
            title="The memory"
            kind="memory-warmth"
            sql={overviewSql(state.tenant, policy.policy)}
            curl={curl("/v1/router/status")}
          >
            <Warmth policy={policy} />
            <Missing policy={policy} />
          </Panel>
        )}
        <TaughtList />
        <Files />
      </div>
    </div>
  );
}

/** The keys while there are no answers. */
function Keys({ onNext }: { onNext: () => void }) {
  useShortcuts([
    { key: "/", what: "To the prompt; Enter there gets the answers", run: toPrompt },
    { key: "n", what: "The next sample", run: onNext },
  ]);
  return null;
}

/** What keeps the policy from deciding, beyond the number of memories. */
function Missing({ policy }: { policy: NonNullable<(typeof currentPolicy)["value"]> }) {
  // The number of examples is beside the bar, and models without a score have a line of their own.
  const known = policy.missing.filter((each) => !/^(\d+ more examples|no labels of )/.test(each));
  if (known.length === 0 && policy.unlabelled.length === 0) return null;
  return (
    <ul class="missing muted">
      {known.map((each) => (
        <li key={each}>{each}</li>
      ))}
      {policy.unlabelled.map((model) => (
        <li key={model}>
          No score of <code>{model}</code> yet: choose it, too.
        </li>
      ))}
    </ul>
  );
}
