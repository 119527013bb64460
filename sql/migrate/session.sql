-- migrate.session
SELECT pg_catalog.set_config('search_path', 'public, pg_temp', false),
       pg_catalog.set_config('statement_timeout', '0', false),
       pg_catalog.set_config('idle_in_transaction_session_timeout', '0', false),
       pg_catalog.set_config('client_min_messages', 'warning', false)
