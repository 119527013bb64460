-- bench.steps
-- The sessions that have taken steps.
SELECT jti, refresh_version FROM auth.refresh_session WHERE refresh_version > 0
