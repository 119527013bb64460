-- clients.refused_scopes
-- The scopes that the documented table's own check would refuse.
SELECT x FROM unnest($1::text[]) AS x WHERE NOT public.scopes_all_valid(ARRAY[x])
