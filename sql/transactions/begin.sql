-- transactions.begin
BEGIN
