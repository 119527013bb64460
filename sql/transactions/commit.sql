-- transactions.commit
COMMIT
