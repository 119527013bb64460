-- transactions.rollback
ROLLBACK
