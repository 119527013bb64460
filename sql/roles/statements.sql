-- roles.statements
-- The one table of the serving role's rights, and what has still to be done for it:
-- the statements that create the role, take away what is more than its rights, and
-- give what it lacks. No row: nothing has to be done. $1 is the role's name.
-- Step 12 is told and never run: what the role has more through everybody or through a group
-- is not its own, and may be needed by others.
WITH serving AS (
    SELECT (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = $1) AS role,
           -- Of a role that is still missing, ask what everybody may.
           COALESCE((SELECT rolname FROM pg_catalog.pg_roles WHERE rolname = $1), 'public') AS who
),
right_on_table (ord, schema, name, privileges, updatable) AS (
    VALUES (1, 'auth', 'refresh_session', '{SELECT,INSERT,UPDATE,DELETE}'::text[], NULL),
           (2, 'auth', 'refresh_tokens', '{SELECT,INSERT,UPDATE,DELETE}', NULL),
           (3, 'public', 'oauth_access_tokens', '{SELECT,INSERT,UPDATE,DELETE}', NULL),
           -- UPDATE of one column, because a row lock needs it.
           (4, 'public', 'users', '{SELECT,INSERT}', 'id'),
           (5, 'public', 'oauth_clients', '{SELECT,INSERT}', 'id'),
           (6, 'auth', 'user', '{SELECT,INSERT}', 'id'),
           -- UPDATE of the mark that a purge leaves; the fence is not the server's.
           (7, 'countersign', 'authority', '{SELECT}', 'purged_to'),
           (8, 'countersign', 'client', '{SELECT,INSERT,UPDATE}', NULL),
           (9, 'countersign', 'client_secret', '{SELECT,INSERT,UPDATE}', NULL),
           (10, 'countersign', 'account', '{SELECT,INSERT,UPDATE}', NULL),
           (11, 'countersign', 'session_grant', '{SELECT,INSERT,UPDATE,DELETE}', NULL),
           (12, 'countersign', 'event', '{SELECT,INSERT}', NULL),
           (13, 'countersign', 'id_cursor', '{SELECT,UPDATE}', NULL),
           (14, 'countersign', 'migration_history', '{SELECT}', NULL),
           (15, 'countersign', 'client_identity', '{SELECT,INSERT,DELETE}', NULL),
           -- UPDATE for the row lock of a purge.
           (16, 'countersign', 'dpop_proof', '{SELECT,INSERT,UPDATE,DELETE}', NULL),
           (17, 'countersign', 'replica', '{SELECT,INSERT,UPDATE,DELETE}', NULL)
),
table_standing AS (
    SELECT r.*, s.who, s.role, c.oid,
           format('%I.%I', r.schema, r.name) AS object,
           c.relowner IS DISTINCT FROM s.role AND (
               EXISTS (SELECT FROM pg_catalog.aclexplode(c.relacl) a
                       WHERE a.grantee = s.role AND a.privilege_type <> ALL (r.privileges))
               OR EXISTS (SELECT FROM pg_catalog.pg_attribute t, pg_catalog.aclexplode(t.attacl) a
                          WHERE t.attrelid = c.oid AND a.grantee = s.role
                            AND NOT (t.attname = COALESCE(r.updatable, '') AND a.privilege_type = 'UPDATE'))
           ) AS excess
    FROM serving s
    CROSS JOIN right_on_table r
    LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = r.schema
    LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = r.name
),
-- The sequences behind the integer ids, owned by the column or named by its default; and
-- those that any other column of a row of ours is filled from.
right_on_sequence AS (
    SELECT r.ord, r.who, q.oid,
           -- Before the table stands, by the name that it will have.
           format('%I.%I', COALESCE(qn.nspname, r.schema), COALESCE(q.relname, r.name || '_id_seq')) AS object
    FROM table_standing r
    LEFT JOIN pg_catalog.pg_attribute t ON t.attrelid = r.oid AND t.attname = 'id'
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = t.attrelid AND d.adnum = t.attnum
    LEFT JOIN LATERAL (
        SELECT p.objid AS sequence FROM pg_catalog.pg_depend p
        WHERE p.classid = 'pg_catalog.pg_class'::regclass AND p.refclassid = 'pg_catalog.pg_class'::regclass
          AND p.refobjid = t.attrelid AND p.refobjsubid = t.attnum AND p.deptype IN ('a', 'i')
        UNION
        SELECT p.refobjid FROM pg_catalog.pg_depend p
        WHERE p.classid = 'pg_catalog.pg_attrdef'::regclass AND p.objid = d.oid
          AND p.refclassid = 'pg_catalog.pg_class'::regclass
    ) p ON true
    LEFT JOIN pg_catalog.pg_class q ON q.oid = p.sequence AND q.relkind = 'S'
    LEFT JOIN pg_catalog.pg_namespace qn ON qn.oid = q.relnamespace
    WHERE r.schema = 'auth' AND (q.oid IS NOT NULL OR r.oid IS NULL)
    UNION ALL
    SELECT r.ord, r.who, q.oid, format('%I.%I', qn.nspname, q.relname)
    FROM table_standing r
    JOIN pg_catalog.pg_attrdef d ON d.adrelid = r.oid
    JOIN pg_catalog.pg_depend p ON p.classid = 'pg_catalog.pg_attrdef'::regclass AND p.objid = d.oid
         AND p.refclassid = 'pg_catalog.pg_class'::regclass
    JOIN pg_catalog.pg_class q ON q.oid = p.refobjid AND q.relkind = 'S'
    JOIN pg_catalog.pg_namespace qn ON qn.oid = q.relnamespace
    WHERE 'INSERT' = ANY (r.privileges)
),
statement (step, ord, object, text) AS (
    SELECT 1, 0, $1, format('CREATE ROLE %I LOGIN', $1)
    FROM serving WHERE role IS NULL
    UNION ALL
    SELECT 2, 0, current_database()::text, format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), $1)
    FROM serving
    WHERE NOT pg_catalog.has_database_privilege(who, current_database(), 'CONNECT')
    UNION ALL
    SELECT 3, w.ord::int, w.name, format('GRANT USAGE ON SCHEMA %I TO %I', w.name, $1)
    FROM serving s
    CROSS JOIN unnest('{auth,public,countersign}'::text[]) WITH ORDINALITY AS w (name, ord)
    LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = w.name
    WHERE NOT COALESCE(pg_catalog.has_schema_privilege(s.who, n.oid, 'USAGE'), false)
    UNION ALL
    SELECT 4, 0, n.nspname::text, format('REVOKE CREATE ON SCHEMA %I FROM %I', n.nspname, $1)
    FROM serving s
    JOIN pg_catalog.pg_namespace n ON n.nspname IN ('auth', 'public', 'countersign') AND n.nspowner <> s.role
    WHERE EXISTS (SELECT FROM pg_catalog.aclexplode(n.nspacl) a
                  WHERE a.grantee = s.role AND a.privilege_type = 'CREATE')
    UNION ALL
    SELECT 5, ord, object, format('REVOKE ALL ON TABLE %s FROM %I', object, $1)
    FROM table_standing WHERE excess
    UNION ALL
    SELECT 6, ord, object, format('GRANT %s ON TABLE %s TO %I', array_to_string(privileges, ', '), object, $1)
    FROM table_standing
    WHERE excess OR EXISTS (
        SELECT FROM unnest(privileges) AS p (privilege)
        WHERE NOT COALESCE(pg_catalog.has_table_privilege(who, oid, p.privilege), false))
    UNION ALL
    SELECT 7, ord, object, format('GRANT UPDATE (%I) ON TABLE %s TO %I', updatable, object, $1)
    FROM table_standing
    WHERE updatable IS NOT NULL
      AND (excess OR NOT COALESCE(pg_catalog.has_column_privilege(who, oid, updatable, 'UPDATE'), false))
    UNION ALL
    SELECT 8, min(ord), object, format('GRANT USAGE, SELECT ON SEQUENCE %s TO %I', object, $1)
    FROM right_on_sequence
    WHERE NOT COALESCE(pg_catalog.has_sequence_privilege(who, oid, 'USAGE')
                       AND pg_catalog.has_sequence_privilege(who, oid, 'SELECT'), false)
    GROUP BY object
    UNION ALL
    SELECT 9, 0, p.proname || '(text[])', format('GRANT EXECUTE ON FUNCTION public.%I(text[]) TO %I', p.proname, $1)
    FROM serving s
    JOIN pg_catalog.pg_proc p ON p.proname IN ('are_valid_oauth_uris_or_null', 'scopes_all_valid')
         AND p.proargtypes::text = 'text[]'::regtype::oid::text
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace AND n.nspname = 'public'
    WHERE NOT pg_catalog.has_function_privilege(s.who, p.oid, 'EXECUTE')
    UNION ALL
    -- Planner settings belong to the role, for PgBouncer forbids a session its own: a plan
    -- cached while a table was empty stays a sequential scan for life, and a statement whose
    -- array has one element would be planned anew each time, at several times its own cost. And
    -- a statement that is its own transaction sees what its locks waited for, whatever the
    -- database has for a default.
    SELECT 10, w.ord::int, $1,
           format('ALTER ROLE %I IN DATABASE %I SET %I = %L', $1, current_database(), w.setting, w.value)
    FROM serving s
    CROSS JOIN (VALUES (1, 'enable_seqscan', 'off'), (2, 'jit', 'off'),
                       (3, 'plan_cache_mode', 'force_generic_plan'),
                       (4, 'default_transaction_isolation', 'read committed')) AS w (ord, setting, value)
    WHERE NOT EXISTS (
        SELECT FROM pg_catalog.pg_db_role_setting g
        JOIN pg_catalog.pg_database b ON b.oid = g.setdatabase AND b.datname = current_database()
        WHERE g.setrole = s.role AND w.setting || '=' || w.value = ANY (g.setconfig))
    UNION ALL
    -- Timeouts for sessions that cannot have their own; who set others, keeps them.
    SELECT 11, w.ord::int, $1,
           format('ALTER ROLE %I IN DATABASE %I SET %I = %s', $1, current_database(), w.setting, w.ms)
    FROM serving s
    CROSS JOIN (VALUES (1, 'statement_timeout', 5000), (2, 'lock_timeout', 2000),
                       (3, 'idle_in_transaction_session_timeout', 5000)) AS w (ord, setting, ms)
    WHERE NOT EXISTS (
        SELECT FROM pg_catalog.pg_db_role_setting g
        LEFT JOIN pg_catalog.pg_database b ON b.oid = g.setdatabase
        CROSS JOIN unnest(g.setconfig) AS c (pair)
        WHERE g.setrole = s.role AND (g.setdatabase = 0 OR b.datname = current_database())
          AND starts_with(c.pair, w.setting || '='))
    UNION ALL
    SELECT 12, r.ord, r.object,
           format('REVOKE %s ON TABLE %s FROM %s', string_agg(DISTINCT g.privilege, ', '), r.object,
                  CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) END)
    FROM table_standing r
    JOIN pg_catalog.pg_roles o ON o.oid = r.role AND NOT o.rolsuper
    JOIN pg_catalog.pg_class c ON c.oid = r.oid
    CROSS JOIN LATERAL (
        SELECT a.privilege_type, a.grantee
        FROM pg_catalog.aclexplode(c.relacl) a
        WHERE a.privilege_type <> ALL (r.privileges)
        UNION ALL
        SELECT format('%s (%I)', a.privilege_type, t.attname), a.grantee
        FROM pg_catalog.pg_attribute t, pg_catalog.aclexplode(t.attacl) a
        WHERE t.attrelid = c.oid AND a.privilege_type <> ALL (r.privileges)
          AND NOT (t.attname = COALESCE(r.updatable, '') AND a.privilege_type = 'UPDATE')
    ) g (privilege, grantee)
    -- Who may act as the owner has everything, which is said elsewhere.
    WHERE g.grantee NOT IN (r.role, c.relowner)
      AND (g.grantee = 0 OR pg_catalog.pg_has_role(r.role, g.grantee, 'MEMBER'))
    GROUP BY r.ord, r.object, g.grantee
)
SELECT step, object, text FROM statement ORDER BY step, ord
