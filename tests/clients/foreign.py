"""The contract, seen by a client that shares no code with the server: grpcio with
stubs made from proto/ alone. Usage: foreign.py STUBS dev.json"""

import base64
import json
import os
import sys
import uuid

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

sys.path.insert(0, sys.argv[1])
from countersign.v1 import directory_pb2 as d  # noqa: E402
from countersign.v1 import directory_pb2_grpc as dg  # noqa: E402
from countersign.v1 import token_authority_pb2 as t  # noqa: E402
from countersign.v1 import token_authority_pb2_grpc as tg  # noqa: E402

DEV = json.load(open(sys.argv[2]))
CHANNEL = grpc.insecure_channel(DEV["endpoint"].removeprefix("http://"))
TOKENS = tg.TokenAuthorityServiceStub(CHANNEL)
DIRECTORY = dg.DirectoryServiceStub(CHANNEL)
checks = 0


def check(holds, what):
    global checks
    if not holds:
        sys.exit(f"FAILED: {what}")
    checks += 1


def metadata(name):
    if name is None:
        return []
    client = next(c for c in DEV["clients"] if c["name"] == name)
    pair = f"{client['client_id']}:{client['client_secret']}"
    return [("authorization", "Basic " + base64.b64encode(pair.encode()).decode())]


def call(method, request, name):
    return method(request, metadata=metadata(name), timeout=10)


def refused(method, request, name, code, reason, field=None):
    """The error contract: code, ErrorInfo, and the field of BadRequest."""
    try:
        call(method, request, name)
    except grpc.RpcError as error:
        found = error
    else:
        sys.exit(f"FAILED: {reason} was not refused")
    check(found.code().name == code, f"{found.code()} is {code}")
    details = dict(found.trailing_metadata())["grpc-status-details-bin"]
    info, fields = error_details_pb2.ErrorInfo(), []
    for detail in status_pb2.Status.FromString(details).details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            detail.Unpack(info)
        if detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad = error_details_pb2.BadRequest()
            detail.Unpack(bad)
            fields = [violation.field for violation in bad.field_violations]
    check((info.domain, info.reason) == ("countersign", reason), f"{info.reason} is {reason}")
    check(field is None or field in fields, f"{field} is among {fields}")


def tokens():
    subject = DEV["subject"]
    login = call(
        TOKENS.IssueToken,
        t.IssueTokenRequest(subject=subject, scopes=["read", "write"], with_refresh_token=True),
        "issuer",
    )
    check(login.access_token.startswith("cs_at_"), "an access token")
    check(login.refresh_token.startswith("cs_rt_"), "a refresh token")
    check(login.token_type == t.TOKEN_TYPE_BEARER, "a bearer token")
    found = call(TOKENS.Introspect, t.IntrospectRequest(token=login.access_token), "introspector")
    check(found.active and found.subject == subject, "the token is active for its subject")
    check(list(found.scopes) == ["read", "write"], "its scopes")
    check(found.session_id == login.session_id, "its session")

    rotate = t.RotateRefreshRequest(refresh_token=login.refresh_token, scopes=["read"])
    first = call(TOKENS.RotateRefresh, rotate, "issuer")
    check(first.outcome == t.ROTATION_OUTCOME_ROTATED and first.generation == 1, "a step")
    check(list(first.scopes) == ["read"], "the narrowed access token")
    again = call(TOKENS.RotateRefresh, rotate, "issuer")
    check(again.outcome == t.ROTATION_OUTCOME_REPLAYED, "a repeat is replayed")
    check(again.refresh_token == first.refresh_token, "with the same successor")
    check(again.access_token != first.access_token, "and a new access token")
    newest = t.RotateRefreshRequest(refresh_token=first.refresh_token)
    refused(TOKENS.RotateRefresh, newest, "admin", "UNAUTHENTICATED", "INVALID_GRANT")
    second = call(TOKENS.RotateRefresh, newest, "issuer")
    check(list(second.scopes) == ["read", "write"], "the session keeps its full scope")
    refused(TOKENS.RotateRefresh, rotate, "issuer", "UNAUTHENTICATED", "REFRESH_TOKEN_SUPERSEDED")

    forged = login.access_token[:-1] + ("A" if login.access_token[-1] != "A" else "B")
    batch = t.BatchIntrospectRequest(tokens=[forged, second.access_token, "nonsense"])
    answers = call(TOKENS.BatchIntrospect, batch, "introspector").results
    check([answer.active for answer in answers] == [False, True, False], "a batch in order")

    listed = call(TOKENS.ListSessions, t.ListSessionsRequest(subject=subject), "revoker").sessions
    check(login.session_id in [session.session_id for session in listed], "the session is listed")
    end = t.RevokeSessionRequest(session_id=login.session_id)
    check(call(TOKENS.RevokeSession, end, "introspector").revoked_sessions == 0, "not theirs")
    check(call(TOKENS.RevokeSession, end, "revoker").revoked_sessions == 1, "it ends")
    check(call(TOKENS.RevokeSession, end, "revoker").revoked_sessions == 0, "once")
    dead = t.IntrospectRequest(token=second.access_token)
    check(not call(TOKENS.Introspect, dead, "introspector").active, "its tokens are dead")
    last = t.RotateRefreshRequest(refresh_token=second.refresh_token)
    refused(TOKENS.RotateRefresh, last, "issuer", "UNAUTHENTICATED", "SESSION_REVOKED")

    own = call(TOKENS.IssueToken, t.IssueTokenRequest(scopes=["read"]), "introspector")
    found = call(TOKENS.Introspect, t.IntrospectRequest(token=own.access_token), "admin")
    check(found.client_only and not found.subject, "a client-only token says so")
    call(TOKENS.RevokeToken, t.RevokeTokenRequest(token=own.access_token), "introspector")
    gone = t.IntrospectRequest(token=own.access_token)
    check(not call(TOKENS.Introspect, gone, "admin").active, "a revoked token is dead")


def errors():
    issue = TOKENS.IssueToken
    refused(issue, t.IssueTokenRequest(), None, "UNAUTHENTICATED", "CREDENTIALS_MISSING")
    request = t.IssueTokenRequest(subject="x", scopes=["a b"], ip_address="y")
    refused(issue, request, "issuer", "INVALID_ARGUMENT", "INVALID_REQUEST", "ip_address")
    request = t.IssueTokenRequest(scopes=["unknown"])
    refused(issue, request, "issuer", "INVALID_ARGUMENT", "INVALID_SCOPE", "scopes")
    request = t.IssueTokenRequest(audience=["urn:unknown"])
    refused(issue, request, "issuer", "INVALID_ARGUMENT", "INVALID_TARGET", "audience")
    stranger = str(uuid.uuid4())
    request = t.IssueTokenRequest(subject=stranger)
    refused(issue, request, "issuer", "NOT_FOUND", "SUBJECT_NOT_FOUND")
    request = t.IssueTokenRequest(subject=DEV["subject"])
    refused(issue, request, "revoker", "PERMISSION_DENIED", "PERMISSION_DENIED")
    request = t.IssueTokenRequest(access_token_ttl=Duration(seconds=-1))
    refused(issue, request, "issuer", "INVALID_ARGUMENT", "INVALID_REQUEST", "access_token_ttl")


def directory():
    settings = d.ClientSettings(name="web", scopes=["read"], roles=[d.ROLE_ISSUER])
    created = call(DIRECTORY.CreateClient, d.CreateClientRequest(settings=settings), "admin")
    check(created.client_secret.startswith("cs_cs_"), "a client secret")
    named = d.GetClientRequest(client_id=created.client.client_id)
    read = call(DIRECTORY.GetClient, named, "admin").client
    check(read.settings.name == "web" and len(read.secrets) == 1, "the client is read back")
    refused(DIRECTORY.GetClient, named, "issuer", "PERMISSION_DENIED", "PERMISSION_DENIED")
    user = call(DIRECTORY.RegisterUser, d.RegisterUserRequest(), "issuer").user
    check(uuid.UUID(user.subject).version == 7, "a user is registered")


def services():
    health = health_pb2_grpc.HealthStub(CHANNEL)
    answer = health.Check(health_pb2.HealthCheckRequest(), timeout=10)
    check(answer.status == health_pb2.HealthCheckResponse.SERVING, "healthy without credentials")
    stub = reflection_pb2_grpc.ServerReflectionStub(CHANNEL)
    ask = reflection_pb2.ServerReflectionRequest(list_services="")
    answers = stub.ServerReflectionInfo(iter([ask]), metadata=metadata("issuer"), timeout=10)
    names = [service.name for service in next(answers).list_services_response.service]
    answers.cancel()
    check("countersign.v1.TokenAuthorityService" in names, "reflection names the services")
    answers = stub.ServerReflectionInfo(iter([ask]), timeout=10)
    try:
        next(answers)
        sys.exit("FAILED: reflection answered a stranger")
    except grpc.RpcError as error:
        check(error.code() == grpc.StatusCode.UNAUTHENTICATED, "reflection needs a caller")


tokens()
errors()
directory()
services()
print(f"{checks} checks passed", flush=True)
# Not by the interpreter's own end: it was seen to wait there for a thread of grpcio.
CHANNEL.close()
os._exit(0)
