-- clients.refused_audience
-- The audience members that the documented table's own check would refuse.
SELECT x FROM unnest($1::text[]) AS x WHERE NOT public.are_valid_oauth_uris_or_null(ARRAY[x])
