-- bench.copy_accounts
COPY countersign.account (subject, user_id)
FROM STDIN (FORMAT binary)
