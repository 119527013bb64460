-- catalog.foreign_rows
SELECT count(*) AS foreign_rows,
       count(*) FILTER (WHERE t.token IS NOT NULL OR t.parent IS NOT NULL) AS in_the_clear
FROM auth.refresh_tokens t
WHERE NOT EXISTS (SELECT FROM countersign.session_grant g WHERE g.session_id = t.session_id)
