create function router_internal._verdict(
    p_requests bigint,
    p_failed bigint,
    p_ratio double precision,
    p_error double precision,
    p_expected double precision,
    p_default text,
    p_declined router.reason,
    p_declined_share double precision,
    p_calibrated boolean,
    p_changed boolean,
    p_memories_then int,
    p_memories_now int,
    p_certificate text
) returns text
language sql stable
begin atomic
    select concat_ws(
        '; ',
        case
            when p_requests = 0 then 'nothing served yet'
            when p_ratio is null then
                format('cost unknown: no tokens or prices in the ledger, or %s costs nothing', p_default)
            when not p_calibrated then format('not calibrated: %s%% of %s''s cost', round(100 * p_ratio), p_default)
            when p_expected is null then format(
                'calibrated when the default model cost nothing: %s%% of %s''s cost now', round(100 * p_ratio),
                p_default
            )
            when p_requests < 100 then format(
                'too early to say: %s of 100 requests, at %s%% of %s''s cost, %s%% expected', p_requests,
                round(100 * p_ratio), p_default, round(100 * p_expected)
            )
            else format(
                '%s: %s%% of %s''s cost, %s%% expected',
                case
                    -- Two percentage points, plus two standard errors.
                    when p_ratio > p_expected + 0.02 + 2 * p_error then 'dearer than expected'
                    when p_ratio < p_expected - 0.02 - 2 * p_error then 'cheaper than expected'
                    else 'as expected'
                end,
                round(100 * p_ratio), p_default, round(100 * p_expected)
            )
        end,
        case when p_requests > 0 and p_declined_share >= 0.05 then
            format('%s%% of requests were %s', round(100 * p_declined_share), p_declined)
        end,
        case when p_failed > 0.05 * (p_requests + p_failed) then format('%s more failed', p_failed) end,
        case when not p_changed then p_certificate end,
        case when p_changed then
            'the policy has been changed since it was calibrated'
            || case when p_certificate is not null then ' and is no longer certified' else '' end
        end,
        case when p_calibrated and p_memories_now not between 0.67 * p_memories_then and 1.5 * p_memories_then then
            format('%s memories then, %s now: calibrate again', p_memories_then, p_memories_now)
        end
    );
end;

comment on function router_internal._verdict is
'Return the result of savings as a sentence: whether the cost is as expected, and likely causes if not.
p_certificate: what the calibration certified, if it did; it holds while the policy is not changed.';
