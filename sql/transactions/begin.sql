-- transactions.begin
-- Whatever the database has for a default: each statement has to see what the locks before it
-- waited for.
BEGIN ISOLATION LEVEL READ COMMITTED
