-- documented.drop_index
DROP INDEX CONCURRENTLY IF EXISTS :index
