create function router_internal._certificate(
    p_calibration router.calibrations, p_default text
) returns text
language sql stable
begin atomic
    select format(
        'certified: at most %s%% worse than %s%s with %s%% confidence, measured %s%% on %s rows%s',
        trim_scale(round((100 * (p_calibration).at_most)::numeric, 3)), p_default,
        case when (p_calibration).margin > 0 then format(' by more than %s', (p_calibration).margin) else '' end,
        trim_scale(round((100 * (p_calibration).confidence)::numeric, 3)),
        trim_scale(round((100 * (p_calibration).worse_share)::numeric, 1)), (p_calibration).trials,
        case when (p_calibration).cost_ratio is not null then
            format(', at %s%% of its cost', round(100 * (p_calibration).cost_ratio))
        else '' end
    )
    where (p_calibration).at_most is not null;
end;

comment on function router_internal._certificate is
'Return what a calibration certifies, in words; NULL if it was for a target. p_default: the default model''s name.';
