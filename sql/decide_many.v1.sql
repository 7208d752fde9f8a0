create function router.decide_many(p_questions router.question[], p_now timestamptz default now())
returns table (
    question int, model_id smallint, reason router.reason, confidence double precision, quality double precision,
    cost_usd double precision, score double precision, labels int,
    support double precision, prior double precision, n0 double precision,
    prompt_tokens double precision, cached_tokens double precision, completion_tokens double precision,
    input_price double precision, cached_input_price double precision, output_price double precision,
    unit_usd double precision, alpha double precision, penalty double precision, base_support double precision
)
language plpgsql stable
as $$
declare
    q router.question;
    i int := 0;
begin
    foreach q in array p_questions loop
        i := i + 1;
        return query
        select i, d.*
        from router.decide(
            q.tenant_id, q.policy_id, q.space_id, q.embedding, q.task, q.prompt_tokens, q.default_model, q.models,
            q.alpha, q.conversation, q.continues, q.random, p_now
        ) as d;
    end loop;
end;
$$;

comment on function router.decide_many is
'What decide says to each of some questions, of any tenants, in one statement: rows of decide, the best first, under the
number of the question, from 1. One that raises takes the others with it.';
