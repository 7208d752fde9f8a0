create function router_internal._conversation(
    p_tenant int, p_policy int, p_conversation bytea, p_default smallint, p_models smallint[], p_now timestamptz
) returns table (model_id smallint, cached_tokens int)
language sql stable
begin atomic
    -- Providers keep a prefix for five to ten minutes after its last use.
    select c.model_id, case when c.updated_at > p_now - interval '10 minutes' then c.prompt_tokens else 0 end
    from router.conversations as c
    where
        c.tenant_id = p_tenant and c.policy_id = p_policy and c.conversation = p_conversation
        and c.expires_at > p_now
        and (
            c.model_id = p_default or (
                (p_models is null or c.model_id = any(p_models))
                and exists (
                    select from router.policy_models as m
                    where m.tenant_id = p_tenant and m.policy_id = p_policy and m.model_id = c.model_id
                )
            )
        );
end;

comment on function router_internal._conversation is
'Return the model that serves a conversation, and the prompt tokens that its provider may have cached.
No row if the conversation is unknown or has expired, or if its model is neither p_default nor a candidate among
p_models now.';
