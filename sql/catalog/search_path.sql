-- catalog.search_path
SELECT pg_catalog.set_config('search_path', 'public, pg_temp', true)
