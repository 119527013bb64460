//! A server that knows one client, writes down what it is asked, and answers
//! from what it was given.

use super::binary::{Run, countersign};
use countersign::proto::{
    ERROR_DOMAIN,
    v1::{
        self,
        directory_service_server::{DirectoryService, DirectoryServiceServer},
        token_authority_service_server::{TokenAuthorityService, TokenAuthorityServiceServer},
    },
};
use std::{
    any::Any,
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status, transport::Server};
use tonic_types::{ErrorDetails, StatusExt as _};

pub const CLIENT_ID: &str = "0198c0de-0000-7000-8000-00000000000a";
pub const SECRET: &str = "cs_cs_only-for-tests";
/// `Basic` and base64 of the two above.
const AUTHORIZATION: &str =
    "Basic MDE5OGMwZGUtMDAwMC03MDAwLTgwMDAtMDAwMDAwMDAwMDBhOmNzX2NzX29ubHktZm9yLXRlc3Rz";

type Answer = Result<Box<dyn Any + Send>, Status>;

/// The server, at an address of its own.
#[derive(Clone, Default)]
pub struct Authority {
    pub target: String,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<Box<dyn Any + Send>>>>,
}

impl Authority {
    /// Starts it on a port that the system chose; it ends with the test.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let authority = Self {
            target: format!("http://{}", listener.local_addr().unwrap()),
            ..Self::default()
        };
        let server = Server::builder()
            .add_service(TokenAuthorityServiceServer::new(authority.clone()))
            .add_service(DirectoryServiceServer::new(authority.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);
        authority
    }

    /// The next call is answered with this.
    pub fn answers<T: Send + 'static>(&self, answer: T) -> &Self {
        let answer: Answer = Ok(Box::new(answer));
        self.answers.lock().unwrap().push_back(answer);
        self
    }

    /// The next call is refused with this.
    pub fn refuses(&self, status: Status) -> &Self {
        self.answers.lock().unwrap().push_back(Err(status));
        self
    }

    /// The earliest request that was not looked at yet.
    pub fn asked<T: 'static>(&self) -> T {
        let first = self.asked.lock().unwrap().remove(0);
        *first.downcast().expect("a request of this kind")
    }

    /// Whether anything was asked that was not looked at.
    pub fn was_asked(&self) -> bool {
        !self.asked.lock().unwrap().is_empty()
    }

    /// Runs the binary against it, as the client that it knows.
    pub async fn run(&self, words: &[&str], stdin: &str) -> Run {
        let environment = [
            ("COUNTERSIGN_TARGET", self.target.as_str()),
            ("COUNTERSIGN_CLIENT_ID", CLIENT_ID),
            ("COUNTERSIGN_CLIENT_SECRET", SECRET),
        ];
        countersign(words, &environment, stdin).await
    }

    fn call<Q: Send + 'static, A: 'static>(
        &self,
        request: Request<Q>,
    ) -> Result<Response<A>, Status> {
        let metadata = request.metadata();
        let known = metadata
            .get("authorization")
            .is_some_and(|value| value == AUTHORIZATION);
        if !known {
            return Err(refusal(
                Code::Unauthenticated,
                "CREDENTIALS_INVALID",
                "the caller's credentials are wrong",
            ));
        }
        assert!(metadata.contains_key("grpc-timeout"));
        self.asked
            .lock()
            .unwrap()
            .push(Box::new(request.into_inner()));
        let answer = self.answers.lock().unwrap().pop_front();
        let answer = answer.unwrap_or_else(|| Err(Status::unimplemented("no answer was given")))?;
        Ok(Response::new(
            *answer.downcast().expect("an answer of this kind"),
        ))
    }
}

/// A refusal as Countersign writes it.
pub fn refusal(code: Code, reason: &str, message: &str) -> Status {
    let details = ErrorDetails::with_error_info(reason, ERROR_DOMAIN, HashMap::new());
    Status::with_error_details(code, message, details)
}

macro_rules! canned {
    ($service:ident { $($method:ident($request:ident) -> $answer:ident;)* }) => {
        #[tonic::async_trait]
        impl $service for Authority {
            $(async fn $method(
                &self,
                request: Request<v1::$request>,
            ) -> Result<Response<v1::$answer>, Status> {
                self.call(request)
            })*
        }
    };
}

canned!(TokenAuthorityService {
    issue_token(IssueTokenRequest) -> IssueTokenResponse;
    rotate_refresh(RotateRefreshRequest) -> RotateRefreshResponse;
    revoke_session(RevokeSessionRequest) -> RevokeSessionResponse;
    revoke_token(RevokeTokenRequest) -> RevokeTokenResponse;
    introspect(IntrospectRequest) -> IntrospectResponse;
    batch_introspect(BatchIntrospectRequest) -> BatchIntrospectResponse;
    list_sessions(ListSessionsRequest) -> ListSessionsResponse;
});

canned!(DirectoryService {
    create_client(CreateClientRequest) -> CreateClientResponse;
    get_client(GetClientRequest) -> GetClientResponse;
    list_clients(ListClientsRequest) -> ListClientsResponse;
    update_client(UpdateClientRequest) -> UpdateClientResponse;
    disable_client(DisableClientRequest) -> DisableClientResponse;
    enable_client(EnableClientRequest) -> EnableClientResponse;
    cut_off_client(CutOffClientRequest) -> CutOffClientResponse;
    rotate_client_secret(RotateClientSecretRequest) -> RotateClientSecretResponse;
    retire_client_secret(RetireClientSecretRequest) -> RetireClientSecretResponse;
    register_user(RegisterUserRequest) -> RegisterUserResponse;
    get_user(GetUserRequest) -> GetUserResponse;
    disable_user(DisableUserRequest) -> DisableUserResponse;
    enable_user(EnableUserRequest) -> EnableUserResponse;
});
