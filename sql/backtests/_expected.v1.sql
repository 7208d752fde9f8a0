create function router_internal._expected(
    p_trials router_internal.trial[], p_rule router_internal.rule, p_fit router_internal.fit, p_tagged boolean
) returns table (
    row_number int, model int, quality double precision, prior double precision, n0 double precision,
    support double precision, excess double precision, ease double precision, evidence double precision, known int
)
language sql stable
begin atomic
    with summed as (
        select
            t.row_number, t.model, t.quality, c.prior, coalesce(t.support, 0) as support,
            case
                when p_tagged and t.prior is not null
                    then case when t.tasked then (p_rule).n0_task else (p_fit).n0 end
                when (p_fit).guess then (p_rule).n0_task
                else (p_fit).n0
            end as n0,
            coalesce(t.weighted, 0) - c.prior * coalesce(t.support, 0) as excess
        from unnest(p_trials) as t
        cross join lateral (
            select case
                when p_tagged and t.prior is not null then t.prior
                when (p_fit).guess then coalesce(t.guessed, t.mean)
                else t.mean
            end as prior
        ) as c
    )
    select
        s.row_number, s.model, s.quality, s.prior, s.n0, s.support, s.excess,
        sum(s.excess) over w
        / (coalesce(sum(s.support) filter (where s.prior is not null) over w, 0) + (p_rule).ease_support),
        coalesce(s.excess / (s.support + 2), 0),
        (count(s.quality) filter (where s.prior is not null) over w)::int
    from summed as s
    window w as (partition by s.row_number);
end;

comment on function router_internal._expected is
'Return the parts of the estimates of some trials of one setting: prior, its weight, excess of the labels, ease.
excess: sum of weight * (label - prior) over the neighbours; ease: what all candidates'' labels say of the prompt;
evidence: excess / (support + 2); known: labels of the row''s memory. p_tagged: as if the request named the memory''s task.';
