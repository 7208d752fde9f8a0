create function router_internal._check_examples(p_examples router.example[]) returns void
language plpgsql immutable
as $$
declare
    v_position bigint;
    v_problem text;
begin
    -- What the tables do not refuse, and other ways of teaching do.
    select e.position, p.problem into v_position, v_problem
    from unnest(p_examples) with ordinality as e (
        prompt_hash, prompt, source, task, prompt_tokens, quality, completion_tokens, embedding, position
    )
    cross join lateral (
        select
            case
                when e.prompt is null or e.prompt !~ '\S' then 'prompt: the text is empty'
                when e.task !~ '\S' then 'task: the text is empty'
                when coalesce(cardinality(array_remove(e.quality, null)), 0) = 0 then 'quality: no model has a score'
                when exists (
                    select from unnest(e.completion_tokens) as c (tokens)
                    where c.tokens > 10000000
                ) then 'completion_tokens: a count is above 10000000'
            end as problem
    ) as p
    where p.problem is not null
    order by e.position
    limit 1;
    if found then
        raise exception 'examples[%].%', v_position, v_problem using errcode = '22023';
    end if;
end;
$$;

comment on function router_internal._check_examples is
'Raise 22023 naming the position and the field of the first example that has no prompt or no score.
Files and HTTP refuse the same examples.';
