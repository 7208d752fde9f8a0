create function router.delete_provider(p_name text) returns boolean
language plpgsql volatile
as $$
begin
    delete from router.providers where name = p_name;
    return found;
end;
$$;

comment on function router.delete_provider is
'Delete a provider that serves no model, not even a disabled one; false if there is none of that name.
Raises foreign_key_violation (23503) on models_provider_fkey while it serves one.';
