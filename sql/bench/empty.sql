-- bench.empty
-- Whether the documented tables hold nothing.
SELECT NOT EXISTS (SELECT FROM auth.refresh_session)
    AND NOT EXISTS (SELECT FROM public.oauth_access_tokens)
    AND NOT EXISTS (SELECT FROM countersign.client)
