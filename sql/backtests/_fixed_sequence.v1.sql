create function router_internal._fixed_sequence(
    p_ordering_worse int[],
    p_ordering_usd double precision[],
    p_testing_worse int[],
    p_tested int,
    p_at_most double precision,
    p_error double precision
) returns table (
    candidate int, place int, worse int, p_value double precision, certified boolean
)
language sql immutable
begin atomic
    with candidates as (
        select u.candidate::int as candidate, u.ordering_worse, u.usd, u.worse
        from unnest(p_ordering_worse, p_ordering_usd, p_testing_worse) with ordinality as u (
            ordering_worse, usd, worse, candidate
        )
    ),
    placed as (
        select
            c.candidate, c.worse, row_number() over (order by c.ordering_worse, c.usd desc, c.candidate)::int as place,
            router_internal._binomial_cdf(p_tested, c.worse, p_at_most) as p_value
        from candidates as c
        -- A candidate that is both riskier and no cheaper than another is not worth a test.
        where not exists (
            select from candidates as o where o.ordering_worse < c.ordering_worse and o.usd <= c.usd
        )
    )
    select
        p.candidate, p.place, p.worse, p.p_value, bool_and(p.p_value <= p_error) over (order by p.place)
    from placed as p
    order by p.place;
end;

comment on function router_internal._fixed_sequence is
'Test candidates in the order of their risk until one fails, and return those worth a test, safest first.
Each p_value tests that the share of worse requests exceeds p_at_most: the probability of so few among p_tested. The
order is that of the rows for ordering alone (fewest worse, then dearest), so every test may err with p_error (Learn
then Test, Angelopoulos et al., 2021; the order by risk and cost: Laufer-Goldshtein et al., 2023). certified: this and
all before passed; costs (USD, of the rows for ordering) never rise along the sequence, so the last one is the cheapest.';
