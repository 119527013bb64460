-- transactions.search
-- A search through everything unexpired may outlast what calls are given.
SET LOCAL statement_timeout = '10min'
