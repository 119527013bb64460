-- migrate.create_schema
DO $$
BEGIN
    IF to_regnamespace('countersign') IS NULL THEN CREATE SCHEMA countersign; END IF;
END
$$
