//! `Introspect` and `BatchIntrospect`.

use crate::support::server::{AUDIENCE, Deployment, settings};
use countersign::proto::v1::{
    self, IntrospectResponse, Role, TokenKind, TokenType, revoke_session_request::Target,
};
use uuid::Uuid;

#[tokio::test]
async fn who_may_see_a_token_is_told_all_of_it_and_others_nothing() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let subject = at.user().await;
    let login = issuer.open(&subject).await;
    let introspector = at.client(&[Role::Introspector]).await;
    let elsewhere = at
        .client_with(v1::ClientSettings {
            roles: vec![Role::Introspector.into()],
            introspection_audience: vec!["urn:other".into()],
            ..settings()
        })
        .await;
    let plain = at.client(&[]).await;
    for seer in [&issuer, &introspector, &at.admin()] {
        let found = seer.introspect(&login.access_token).await;
        assert!(found.active && !found.client_only);
        assert_eq!(found.subject, subject);
        assert_eq!(found.client_id, issuer.id);
        assert_eq!(found.session_id, login.session_id);
        assert_eq!(found.token_id, login.token_id);
        assert_eq!(found.audience, [AUDIENCE]);
        assert_eq!(found.issuer, "countersign");
        assert_eq!(found.expires_at, login.access_token_expires_at);
        assert_eq!(found.token_type, i32::from(TokenType::Bearer));
        assert_eq!(found.token_kind, i32::from(TokenKind::AccessToken));
    }
    for blind in [&elsewhere, &plain] {
        let found = blind.introspect(&login.access_token).await;
        assert_eq!(found, IntrospectResponse::default());
    }
}

#[tokio::test]
async fn a_refresh_token_is_active_only_for_its_client_and_only_while_it_is_current() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let login = issuer.open(&at.user().await).await;
    let found = issuer.introspect(&login.refresh_token).await;
    assert!(found.active && found.token_kind == i32::from(TokenKind::RefreshToken));
    assert!(!at.admin().active(&login.refresh_token).await);
    let stepped = issuer.rotate(&login.refresh_token).await.unwrap();
    assert!(!issuer.active(&login.refresh_token).await);
    assert!(issuer.active(&stepped.refresh_token).await);
}

#[tokio::test]
async fn a_batch_keeps_order_and_length() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let login = issuer.open(&at.user().await).await;
    let pattern = [
        login.access_token.as_str(),
        "nonsense",
        login.refresh_token.as_str(),
    ];
    let tokens: Vec<String> = pattern
        .iter()
        .cycle()
        .take(1000)
        .map(ToString::to_string)
        .collect();
    let request = issuer.request(v1::BatchIntrospectRequest { tokens });
    let results = issuer
        .tokens()
        .batch_introspect(request)
        .await
        .unwrap()
        .into_inner()
        .results;
    assert_eq!(results.len(), 1000);
    for (at, result) in results.iter().enumerate() {
        assert_eq!(result.active, at % 3 != 1, "{at}");
    }
}

#[tokio::test]
async fn foreign_rows_are_nobodys_business() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let revoker = at.client(&[Role::Revoker]).await;
    let subject = at.user().await;
    at.sql
        .batch_execute(&format!(
            "INSERT INTO auth.refresh_session (jti, user_id, expires_at) \
             SELECT '00000000-0000-4000-8000-000000000001', user_id, now() + interval '1 day' \
             FROM countersign.account WHERE subject = '{subject}'; \
             INSERT INTO auth.refresh_tokens (token, user_id, session_id, revoked) \
             VALUES ('in the clear', '{subject}', '00000000-0000-4000-8000-000000000001', false); \
             INSERT INTO public.oauth_access_tokens (digest, client_id, user_id, expires_at, metadata) \
             SELECT '\\x01', client_id, '{subject}', now() + interval '1 day', \
                 '{{\"session_id\": \"no uuid\"}}' FROM countersign.client LIMIT 1; \
             INSERT INTO public.oauth_access_tokens \
                 (digest, client_id, user_id, created_at, expires_at, metadata) \
             VALUES ('\\x02', '{}', '{subject}', now() + interval '1 hour', \
                 now() + interval '1 day', '{{}}')",
            issuer.id
        ))
        .await
        .unwrap();
    let rows = "SELECT (SELECT s::text FROM auth.refresh_session s), \
                (SELECT t::text FROM auth.refresh_tokens t), \
                (SELECT string_agg(o::text, ';' ORDER BY o.digest) \
                 FROM public.oauth_access_tokens o)";
    let before = at.sql.query_one(rows, &[]).await.unwrap();
    let foreign = "00000000-0000-4000-8000-000000000001";
    assert_eq!(revoker.revoke(Target::SessionId(foreign.into())).await, 0);
    let user = |except: String| {
        Target::User(v1::UserSessions {
            subject: subject.clone(),
            except_session_id: except,
        })
    };
    assert_eq!(issuer.revoke(user(String::new())).await, 0);
    assert_eq!(revoker.revoke(user(Uuid::max().to_string())).await, 0);
    assert_eq!(revoker.revoke(user(String::new())).await, 0);
    let cut_off = v1::CutOffClientRequest {
        client_id: issuer.id.clone(),
    };
    let admin = at.admin();
    let mut directory = admin.directory();
    let cut = directory.cut_off_client(admin.request(cut_off)).await;
    cut.unwrap();
    let cut_offs = "SELECT greatest(
                        (SELECT max(not_before) FROM countersign.account),
                        (SELECT max(not_before) FROM countersign.client)
                    ) < now() + interval '30 minutes'";
    let cut_offs = at.sql.query_one(cut_offs, &[]).await.unwrap();
    assert!(cut_offs.get::<_, bool>(0), "none reaches to a foreign row");
    let list = v1::ListSessionsRequest {
        subject: subject.clone(),
        ..Default::default()
    };
    let listed = revoker
        .tokens()
        .list_sessions(revoker.request(list))
        .await
        .unwrap();
    assert!(listed.into_inner().sessions.is_empty());
    assert!(!issuer.active("in the clear").await);
    let after = at.sql.query_one(rows, &[]).await.unwrap();
    for column in 0..3 {
        assert_eq!(
            before.get::<_, String>(column),
            after.get::<_, String>(column)
        );
    }
}

#[tokio::test]
async fn without_our_mark_a_token_is_foreign_though_its_digest_is_ours() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let single = issuer.issue(Default::default()).await.unwrap().access_token;
    let login = issuer.open(&at.user().await).await;
    let before = at.counts().await;
    let unmark = "UPDATE public.oauth_access_tokens SET metadata = metadata - 'countersign'";
    assert_eq!(at.sql.execute(unmark, &[]).await.unwrap(), 2);
    let rows = "SELECT string_agg(o::text, ';' ORDER BY o.digest)
                FROM public.oauth_access_tokens o";
    let rows = async || -> String { at.sql.query_one(rows, &[]).await.unwrap().get(0) };
    let unmarked = rows().await;
    for token in [single, login.access_token] {
        assert!(!issuer.active(&token).await);
        let revoke = v1::RevokeTokenRequest {
            token: token.clone(),
            ..Default::default()
        };
        let mut tokens = issuer.tokens();
        tokens.revoke_token(issuer.request(revoke)).await.unwrap();
        assert_eq!(issuer.revoke(Target::AccessToken(token)).await, 0);
    }
    assert_eq!(rows().await, unmarked);
    assert_eq!(at.counts().await, before);
    issuer.rotate(&login.refresh_token).await.unwrap();
}
