create view router.recent_decisions with (security_invoker = true) as
select
    d.decided_at,
    t.name as tenant,
    d.requested as asked,
    m.name as served_by,
    d.reason,
    round(d.confidence::numeric, 2) as confidence,
    d.task,
    d.status,
    d.prompt_tokens,
    d.completion_tokens,
    round(d.spent_usd::numeric, 6) as spent_usd,
    round(d.overhead_ms::numeric, 2) as overhead_ms,
    round(d.duration_ms::numeric, 1) as duration_ms,
    d.decision_id
from router.decisions as d
inner join router.tenants as t on t.tenant_id = d.tenant_id
inner join router.models as m on m.model_id = d.model_id
where d.decided_at > now() - interval '24 hours'
order by d.decided_at desc;

comment on view router.recent_decisions is
'The last 24 hours of the ledger, newest first: which model served each request, and why.';
comment on column router.recent_decisions.decided_at is 'When it was decided.';
comment on column router.recent_decisions.tenant is 'Name of the tenant.';
comment on column router.recent_decisions.asked is 'The value of `model` in the request.';
comment on column router.recent_decisions.served_by is 'The model that served.';
comment on column router.recent_decisions.reason is 'Why that model was chosen.';
comment on column router.recent_decisions.confidence is 'Share of the estimate that came from neighbours, 0 to 1.';
comment on column router.recent_decisions.task is 'The value of X-Router-Task in the request.';
comment on column router.recent_decisions.status is 'HTTP status sent to the client.';
comment on column router.recent_decisions.prompt_tokens is 'As the provider reported.';
comment on column router.recent_decisions.completion_tokens is 'As the provider reported.';
comment on column router.recent_decisions.spent_usd is 'Cost; NULL: unknown.';
comment on column router.recent_decisions.overhead_ms is 'Time in pgrouter before the request was sent to a provider.';
comment on column router.recent_decisions.duration_ms is 'Time until the last byte was sent.';
comment on column router.recent_decisions.decision_id is
'As in the header x-router-decision; GET /v1/router/decisions/{id} shows it.';
