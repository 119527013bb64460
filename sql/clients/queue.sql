-- clients.queue
-- Takes its turn behind every token that is being issued, and holds back the next until the
-- transaction ends: issuing locks its client's row in a mode that overtakes whoever waits for
-- that row, so that a client which issues without a pause would never be disabled. Taken before
-- every other lock. Behind a search, which holds one client for minutes, it gives up after a
-- moment, since all who issue wait behind it: then the row alone is waited for.
DO $queue$
DECLARE
    patience text := current_setting('lock_timeout');
BEGIN
    PERFORM set_config('lock_timeout', '500ms', true);
    LOCK TABLE countersign.client IN EXCLUSIVE MODE;
    PERFORM set_config('lock_timeout', patience, true);
EXCEPTION
    WHEN lock_not_available THEN
        NULL;
END
$queue$
