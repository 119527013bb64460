-- sessions.free_request
-- Takes a repeated request id from the grant that was found to hold it.
UPDATE countersign.session_grant
SET request_id = NULL
WHERE session_id = $1
