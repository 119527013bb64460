"""mTLS by grpcio and its BoringSSL. Usage: certificates.py STUBS PORT CERT KEY CA CLIENT_ID"""

import os
import sys

import grpc

stubs, port, certificate, key, ca, client_id = sys.argv[1:]
sys.path.insert(0, stubs)
from countersign.v1 import token_authority_pb2 as t  # noqa: E402
from countersign.v1 import token_authority_pb2_grpc as tg  # noqa: E402


def read(path):
    with open(path, "rb") as file:
        return file.read()


credentials = grpc.ssl_channel_credentials(read(ca), read(key), read(certificate))
channel = grpc.secure_channel(f"localhost:{port}", credentials)
tokens = tg.TokenAuthorityServiceStub(channel)
issued = tokens.IssueToken(t.IssueTokenRequest(), timeout=10)
found = tokens.Introspect(t.IntrospectRequest(token=issued.access_token), timeout=10)
if not found.active or found.client_id != client_id:
    sys.exit(f"FAILED: {found}")
bare = grpc.secure_channel(f"localhost:{port}", grpc.ssl_channel_credentials(read(ca)))
try:
    tg.TokenAuthorityServiceStub(bare).IssueToken(t.IssueTokenRequest(), timeout=10)
    sys.exit("FAILED: a client without a certificate was let in")
except grpc.RpcError as error:
    if error.code() != grpc.StatusCode.UNAVAILABLE:
        sys.exit(f"FAILED: {error.code()}")
print("passed", flush=True)
os._exit(0)
