create function router.calibrate(
    p_tenant int,
    p_policy int,
    p_space smallint,
    p_target double precision,
    p_confidence double precision default 0.9,
    p_sample int default 2000,
    p_seconds double precision default 30,
    p_tune boolean default true,
    p_write boolean default true,
    p_seed int default 0,
    p_now timestamptz default now(),
    p_by text default 'psql',
    p_key int default null,
    p_at_most double precision default null,
    p_margin double precision default 0
) returns table (
    alpha double precision, k int, tau double precision, n0 double precision, n0_task double precision, "rows" int,
    memories int, quality double precision, quality_low double precision, default_quality double precision,
    quality_ratio double precision, quality_ratio_low double precision, cost_usd double precision,
    default_usd double precision, cost_ratio double precision, models text[], shares double precision[],
    target double precision, confidence double precision, tuned boolean, written boolean,
    at_most double precision, margin double precision, worse_share double precision
)
language plpgsql volatile
as $$
declare
    -- Neighbours and kernel widths that tuning tries beside the policy's own, in pairs.
    c_ks constant int[] := '{30, 100, 100, 100, 100, 300}';
    c_taus constant double precision[] := '{0.2, 0.05, 0.1, 0.2, 0.4, 0.2}';
    -- Comparing settings is slow: they are compared on half of the sample, at least 1,000 rows if it has as many.
    c_compared constant int := 1000;
    -- The share of p_seconds for comparing settings; the rest is for more rows with the chosen setting.
    c_comparing constant double precision := 0.6;
    -- The alphas compared: 0, then from 0.004 each a fifth larger than the one before, up to 44 (cost alone counts).
    c_lowest_alpha constant double precision := 0.004;
    c_alpha_step constant double precision := 1.2;
    c_alphas constant double precision[] := array(
        select case when i = 0 then 0 else round((c_lowest_alpha * power(c_alpha_step, i - 1))::numeric, 6) end
        from generate_series(0, 52) as i
    );
    c_resamples constant int := 400;
    v_setup record;
    v_tuned record;
    v_found record;
    v_k int[];
    v_tau double precision[];
    v_trials router_internal.trial[];
    v_rule router_internal.rule;
    v_fits router_internal.fit[];
    v_setting int := 1;
    v_alphas double precision[] := c_alphas;
    v_certified record;
    v_copied int[];
    v_calibrating router_internal.trial[];
    v_settings router.policy_settings;
    v_sample int := p_sample;
    -- The rows that choose settings, and the seconds for them; a certificate is tested on other rows.
    v_first int := p_sample;
    v_seconds double precision := p_seconds;
    v_began timestamptz := clock_timestamp();
begin
    perform router_internal._enter(p_tenant);
    perform router_internal._check_goal(p_target, p_at_most, p_margin);
    if exists (
        select from router.policies as p
        where p.tenant_id = p_tenant and p.policy_id = p_policy and p.backend <> 'knn'
    ) then
        raise exception 'only a policy with backend knn can be calibrated'
            using errcode = '22023', column = 'policy';
    end if;
    select * into v_setup from router_internal._setup(
        p_tenant, p_policy, p_space, null, p_sample, p_confidence, p_seconds
    );
    select array_agg(s.k order by s.i), array_agg(s.tau order by s.i) into v_k, v_tau
    from (
        select 0 as i, v_setup.k as k, v_setup.tau as tau
        union all
        select u.i, u.k, u.tau
        from unnest(c_ks, c_taus) with ordinality as u (k, tau, i)
        where p_tune and (u.k <> v_setup.k or u.tau <> v_setup.tau)
    ) as s;
    if p_at_most is not null then
        v_sample := least(p_sample, v_setup.labelled);
        v_first := v_sample / 2;
    elsif p_tune then
        v_first := least(p_sample, greatest(c_compared, p_sample / 2));
    end if;
    if p_at_most is not null or p_tune then
        v_seconds := c_comparing * p_seconds;
    end if;
    v_trials := array(
        select t
        from router_internal._trials(
            p_tenant, p_space, v_setup.models, v_setup.ledger_tokens, v_k, v_tau, v_setup.rule,
            v_setup.base, v_setup.base_weight, v_setup.seed_count, v_first, v_seconds, p_seed
        ) as t
    );
    n0 := (v_setup.rule).n0;
    n0_task := (v_setup.rule).n0_task;
    tuned := false;
    if p_tune then
        select * into v_tuned
        from router_internal._best_settings(
            v_trials, v_k, v_tau, v_setup.input, v_setup.output, v_setup.ratio, v_setup.rule, v_setup.floor,
            v_setup.default_position
        );
        -- Settings that are not clearly better are not used.
        if v_tuned.better > v_tuned.error then
            v_setting := v_tuned.setting;
            n0 := v_tuned.n0;
            n0_task := v_tuned.n0_task;
            tuned := true;
        end if;
    end if;
    v_rule := router_internal._with_weights(v_setup.rule, n0, n0_task);
    k := v_k[v_setting];
    tau := v_tau[v_setting];
    v_first := cardinality(v_trials) / cardinality(v_setup.models) / cardinality(v_k);
    v_trials := array(
        select t from unnest(v_trials) as t where t.setting = v_setting
        union all
        select t
        from router_internal._trials(
            p_tenant, p_space, v_setup.models, v_setup.ledger_tokens, array[k], array[tau], v_setup.rule,
            v_setup.base, v_setup.base_weight, v_setup.seed_count, v_sample,
            greatest(
                p_seconds - extract(epoch from clock_timestamp() - v_began),
                -- The test has its own share, however long the choice took.
                case when p_at_most is not null then (1 - c_comparing) * p_seconds else 0 end
            ), p_seed, v_first
        ) as t
        where p_tune or p_at_most is not null
    );
    if p_at_most is null then
        v_fits := router_internal._cross_fits(v_trials, v_rule, cardinality(v_setup.models));
    else
        -- One fit for all rows, made from those that are not tested; the policy gets this one.
        v_fits := array[router_internal._fit(
            array(select t from unnest(v_trials) as t where t.row_number <= v_first), v_rule, cardinality(v_setup.models)
        )];
        v_copied := router_internal._copied_rows(p_tenant, p_space, v_setup.models, v_sample, p_seed);
        v_trials := array(
            select t from unnest(v_trials) as t where t.row_number <= v_first or t.row_number <> all(v_copied)
        );
        select * into v_certified
        from router_internal._certified_alpha(
            v_trials, v_setup.input, v_setup.output, v_setup.ratio, v_rule, v_fits, v_setup.floor,
            v_setup.default_position, c_alphas, v_first, p_at_most, p_margin, p_confidence
        );
        if not v_certified.certified then
            raise exception 'at_most % is out of reach at confidence %: the best supported share is %, because % of % rows are served worse',
                p_at_most, p_confidence, ceil(1000 * v_certified.supported) / 1000, v_certified.worse, v_certified.tested
                using errcode = 'RT008', column = 'at_most',
                    hint = 'Teach more examples, allow more rows and seconds, or raise the share or lower the confidence. '
                        'The default model alone is never worse than itself.';
        end if;
        worse_share := v_certified.worse / v_certified.tested::double precision;
        v_calibrating := array(select t from unnest(v_trials) as t where t.row_number <= v_first);
        -- Expectations are those of the tested rows, which chose no setting.
        v_alphas := array[v_certified.alpha];
        v_trials := array(select t from unnest(v_trials) as t where t.row_number > v_first);
    end if;

    with curve as materialized (
        select c.*
        from router_internal._curve(
            v_trials, v_setup.input, v_setup.output, v_setup.ratio, v_rule, v_fits, v_setup.floor,
            v_setup.default_position, v_alphas, p_confidence, c_resamples, p_seed
        ) as c
    ),
    -- More weight on cost cannot raise quality, so a bound that rises with alpha is luck.
    fitted as (
        select
            c.alpha, least(c.quality_ratio_low, f.low) as low
        from (select array_agg(c.alpha order by c.alpha) as alphas,
            router_internal._antitonic_fit(array_agg(c.quality_ratio_low order by c.alpha)) as lows
        from curve as c where c.kind = 'policy') as a
        cross join lateral unnest(a.alphas, a.lows) as f (alpha, low)
        inner join curve as c on c.kind = 'policy' and c.alpha = f.alpha
    )
    select c.*, f.low, d.quality as default_quality, d.cost_usd as default_usd into v_found
    from fitted as f
    inner join curve as c on c.kind = 'policy' and c.alpha = f.alpha
    inner join curve as d on d.model = v_setup.default_position
    order by
        coalesce(f.low >= p_target, false) desc, case when f.low >= p_target then c.cost_usd end, f.low desc nulls last,
        c.cost_usd, c.alpha
    limit 1;
    if v_found.low is null then
        raise exception 'no share of the default model''s quality can be kept, because all its labels are 0'
            using errcode = 'RT008', column = case when p_target is null then 'at_most' else 'target' end;
    elsif v_found.low < p_target then
        raise exception 'target % is out of reach at confidence %: the best supported target is %',
            p_target, p_confidence,
            -- cost_ratio NULL: the default model costs nothing.
            concat_ws(
                ', at ', trunc(v_found.low::numeric, 3), round(100 * v_found.cost_ratio) || '% of the default model''s cost'
            )
            using errcode = 'RT008', column = 'target',
                hint = 'Teach more examples, or lower the target or the confidence. The default model alone keeps 1.';
    end if;
    alpha := v_found.alpha;
    "rows" := v_found.trials;
    memories := v_setup.memories;
    quality := v_found.quality;
    quality_low := v_found.quality_low;
    default_quality := v_found.default_quality;
    quality_ratio := v_found.quality_ratio;
    quality_ratio_low := v_found.quality_ratio_low;
    cost_usd := v_found.cost_usd;
    default_usd := v_found.default_usd;
    cost_ratio := v_found.cost_ratio;
    models := v_setup.names;
    shares := v_found.shares;
    target := p_target;
    confidence := p_confidence;
    written := p_write;
    at_most := p_at_most;
    margin := case when p_at_most is not null then p_margin end;
    if p_write then
        v_settings := jsonb_populate_record(null::router.policy_settings, jsonb_build_object(
            'alpha', alpha, 'k', k, 'tau', tau, 'n0', n0, 'n0_task', n0_task
        ));
        perform router_internal._set_calibrated(p_tenant, p_policy, v_settings, p_now, p_by, p_key);
        insert into router.calibrations (
            tenant_id, policy_id, calibrated_at, target, confidence, space_id, old_settings, new_settings, tuned,
            trials, memories, default_model, quality, quality_low, default_quality, quality_ratio, quality_ratio_low,
            cost_usd, default_usd, cost_ratio, models, shares, at_most, margin, worse_share
        ) values (
            p_tenant, p_policy, p_now, p_target, p_confidence, p_space,
            -- Set by name, because a policy has more settings than these.
            jsonb_populate_record(null::router.policy_settings, jsonb_build_object(
                'alpha', v_setup.alpha, 'k', v_setup.k, 'tau', v_setup.tau, 'n0', (v_setup.rule).n0,
                'n0_task', (v_setup.rule).n0_task
            )),
            v_settings, tuned, "rows", memories,
            v_setup.models[v_setup.default_position], quality, quality_low, default_quality, quality_ratio,
            quality_ratio_low, cost_usd, default_usd, cost_ratio, v_setup.models, shares, at_most, margin, worse_share
        );
        if p_at_most is not null and memories >= 200 then
            perform router_internal._write_fit(
                p_tenant, p_policy, p_space, v_setup.models, k, tau, v_calibrating, v_fits[1], memories, p_now
            );
        elsif p_at_most is not null then
            -- Backtests fit nothing below 200 memories, and what was tested is what decides.
            delete from router.fits as f
            where f.tenant_id = p_tenant and f.policy_id = p_policy and f.space_id = p_space;
        elsif k <> v_setup.k or tau <> v_setup.tau then
            perform from router.fit(p_tenant, p_policy, p_space, p_seconds => least(p_seconds, 10), p_now => p_now);
        end if;
    end if;
    return next;
end;
$$;

comment on function router.calibrate is
'Choose the settings with which a policy keeps p_target of its default model''s quality, or p_at_most, at least cost.
Chooses alpha, and with p_tune also k, tau, n0 and n0_task. p_target: the bootstrap bound of the quality ratio on
p_sample held-out memories must exceed it at p_confidence. p_at_most instead: the cheapest alpha for which at most this
share of requests is served worse than by the default model (by more than p_margin of quality), with probability
p_confidence. One half of the rows chooses settings and orders the alphas, the other half tests them
(_certified_alpha); what is returned is measured on the tested rows. It holds for requests exchangeable with the
memories, for a share fixed beforehand. p_write: update the policy, and add a row to calibrations and to policy_changes
(p_by: admin, cli or psql; p_key: the tenant''s key); otherwise the settings are only returned. Raises RT002, RT003,
RT004, RT010 and 22023 as backtest does, and RT008 if the memory does not support the target or the share, with the best
that it supports.';
