-- catalog.foreign_rows_before
SELECT count(*) AS foreign_rows,
       count(*) FILTER (WHERE t.token IS NOT NULL OR t.parent IS NOT NULL) AS in_the_clear
FROM auth.refresh_tokens t
