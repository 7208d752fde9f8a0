create function router_internal._labels(p_quality real[], p_completion_tokens real[])
returns table (models text[], scores real[], completion_tokens real[])
language sql stable
begin atomic
    select
        array_agg(o.name order by o.name), array_agg(u.quality order by o.name), array_agg(u.tokens order by o.name)
    from unnest(p_quality, p_completion_tokens) with ordinality as u (quality, tokens, model_id)
    inner join router.models as o on o.model_id = u.model_id
    where u.quality is not null or u.tokens is not null;
end;

comment on function router_internal._labels is
'Return a memory''s labels by model name: every model with a score or a known answer length; NULL: unknown.';
