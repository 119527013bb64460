//! Whole messages.

use crate::support::server::{Deployment, Refused, answer};
use countersign::proto::v1::{self, Role};
use tonic::Code;

#[tokio::test]
async fn a_message_that_cannot_be_read_is_the_callers_mistake() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let path = "/countersign.v1.TokenAuthorityService/IssueToken";
    let mut grpc = tonic::client::Grpc::new(issuer.channel());
    grpc.ready().await.unwrap();
    // A string where the method has a message.
    let codec: tonic_prost::ProstCodec<v1::Confirmation, ()> = Default::default();
    let wrong = v1::Confirmation { jkt: "x".into() };
    let path = http::uri::PathAndQuery::from_static(path);
    let refused: Result<tonic::Response<()>, _> =
        grpc.unary(issuer.request(wrong), path, codec).await;
    let refused = Refused::from(refused.unwrap_err());
    // Field 1 of both is text, so that this one is read, and named.
    assert_eq!(refused.fields, ["client_id"]);

    let request = v1::RevokeTokenRequest {
        token: "x".repeat(5 << 20),
        ..Default::default()
    };
    let refused = answer(issuer.tokens().revoke_token(issuer.request(request)).await).unwrap_err();
    assert_eq!(
        (refused.code, refused.reason.as_str()),
        (Code::InvalidArgument, "INVALID_REQUEST")
    );

    let mut grpc = tonic::client::Grpc::new(issuer.channel());
    grpc.ready().await.unwrap();
    let codec: tonic_prost::ProstCodec<v1::UserSessions, ()> = Default::default();
    let wrong = v1::UserSessions {
        subject: "x".into(),
        except_session_id: "y".into(),
    };
    let path = "/countersign.v1.DirectoryService/CreateClient";
    let path = http::uri::PathAndQuery::from_static(path);
    // Its second field is text where the method has a message.
    let refused: Result<tonic::Response<()>, _> =
        grpc.unary(issuer.request(wrong), path, codec).await;
    let refused = Refused::from(refused.unwrap_err());
    assert_eq!(
        (refused.code, refused.reason.as_str()),
        (Code::InvalidArgument, "INVALID_REQUEST")
    );
}
