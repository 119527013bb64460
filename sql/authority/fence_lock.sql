-- authority.fence_lock
-- Waits for every token that is being issued, and holds back the next: issuing locks
-- its client's row. Introspection goes on.
LOCK TABLE countersign.client IN EXCLUSIVE MODE
