create function router_internal._model_ids(p_models text[]) returns smallint[]
language plpgsql stable
as $$
declare
    v_unknown text;
    v_models smallint[];
begin
    select w.name into v_unknown
    from unnest(p_models) with ordinality as w (name, place)
    where not exists (select from router.models as m where m.name = w.name)
    order by w.place
    limit 1;
    if found then
        raise exception 'there is no model %', v_unknown using errcode = 'RT003', column = 'models';
    end if;
    select array_agg(m.model_id order by m.model_id) into v_models from router.models as m where m.name = any(p_models);
    return v_models;
end;
$$;

comment on function router_internal._model_ids is
'Return the numbers of the models of these names, disabled ones included; NULL for NULL or no names.
Raises RT003 with the first name that is unknown.';
