create function router.decide_many(p_questions router.question[], p_now timestamptz default now())
returns table (
    question int, model_id smallint, reason router.reason, confidence double precision, quality double precision,
    cost_usd double precision, score double precision, labels int,
    support double precision, prior double precision, n0 double precision,
    prompt_tokens double precision, cached_tokens double precision, completion_tokens double precision,
    input_price double precision, cached_input_price double precision, output_price double precision,
    unit_usd double precision, alpha double precision, penalty double precision, base_support double precision,
    mean double precision, ease double precision, borrowed double precision, share double precision
)
language plpgsql stable
as $$
declare
    q router.question;
    i int := 0;
    v_last router.question;
    v_entered text;
    v_context router.context;
begin
    foreach q in array p_questions loop
        i := i + 1;
        if i = 1 or (q.tenant_id, q.policy_id, q.space_id, q.default_model, q.models) is distinct from
            (v_last.tenant_id, v_last.policy_id, v_last.space_id, v_last.default_model, v_last.models)
        then
            v_entered := router_internal._enter(q.tenant_id);
            select * into v_context from router_internal._context(
                q.tenant_id, q.policy_id, q.space_id, q.default_model, q.models
            );
            v_last := q;
        end if;
        return query
        select i, d.*
        from router.decide(
            q.tenant_id, q.policy_id, q.space_id, q.embedding, q.task, q.prompt_tokens, q.default_model, q.models,
            q.alpha, q.conversation, q.continues, q.random, p_now, v_context
        ) as d;
    end loop;
end;
$$;

comment on function router.decide_many is
'Decide several questions of any tenants in one statement; the rows of decide, each with its question''s number, from 1.
Put questions of the same policy side by side: its settings and candidates are then read once for all of them. If one
question raises an error, the whole call fails. Raises RT002 as decide does.';
