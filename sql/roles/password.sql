-- roles.password
-- The statement that gives a role its password; the server quotes both.
SELECT format('ALTER ROLE %I PASSWORD %L', $1::text, $2::text) AS text
