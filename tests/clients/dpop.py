"""DPoP proofs by joserfc. Usage: dpop.py STUBS TARGET ORIGIN CLIENT_ID SUBJECT; the client's
secret stands in CLIENT_SECRET, and COUNTERSIGN is the binary whose proofs are read back."""

import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid

import grpc
from google.rpc import error_details_pb2, status_pb2
from joserfc import jws, jwt
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey

stubs, target, origin, client_id, subject = sys.argv[1:]
sys.path.insert(0, stubs)
from countersign.v1 import token_authority_pb2 as t  # noqa: E402
from countersign.v1 import token_authority_pb2_grpc as tg  # noqa: E402

SERVICE = f"{origin}/countersign.v1.TokenAuthorityService/"
basic = base64.b64encode(f"{client_id}:{os.environ['CLIENT_SECRET']}".encode()).decode()
tokens = tg.TokenAuthorityServiceStub(grpc.insecure_channel(target))
ALGORITHMS = ["ES256", "ES384", "EdDSA", "Ed25519", "PS256", "RS256", "HS256", "ES512"]

KEYS = {
    "ES256": ECKey.generate_key("P-256"),
    "ES384": ECKey.generate_key("P-384"),
    "EdDSA": OKPKey.generate_key("Ed25519"),
    "Ed25519": OKPKey.generate_key("Ed25519"),
    "PS256": RSAKey.generate_key(2048),
    "RS256": RSAKey.generate_key(3072),
}


def must(holds, what):
    if not holds:
        print(f"FAILED: {what}", flush=True)
        os._exit(1)


def encoded(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def claims(method="IssueToken", **more):
    made = {"jti": str(uuid.uuid4()), "htm": "POST", "htu": SERVICE + method, "iat": int(time.time())}
    made.update(more)
    return {name: value for name, value in made.items() if value is not None}


def proof(algorithm, said, header=None, key=None, jwk=None):
    key = key or KEYS[algorithm]
    head = {"typ": "dpop+jwt", "alg": algorithm, "jwk": jwk or key.as_dict(private=False)}
    head["jwk"].pop("kid", None)
    head.update(header or {})
    registry = jws.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
    return jws.serialize_compact(head, json.dumps(said), key, registry=registry)


def metadata(*proofs):
    return [("authorization", f"Basic {basic}"), *(("dpop", one) for one in proofs)]


def issue(*proofs, **request):
    return tokens.IssueToken(t.IssueTokenRequest(**request), metadata=metadata(*proofs), timeout=20)


def refused(*proofs):
    """The check that a proof fails."""
    try:
        issue(*proofs)
    except grpc.RpcError as error:
        must(error.code() == grpc.StatusCode.UNAUTHENTICATED, error)
        raw = dict(error.trailing_metadata())["grpc-status-details-bin"]
        for detail in status_pb2.Status.FromString(raw).details:
            info = error_details_pb2.ErrorInfo()
            if detail.Unpack(info):
                must(info.reason == "INVALID_DPOP_PROOF", info)
                return info.metadata["check"]
    must(False, f"a mangled proof was taken: {proofs}")


# Each algorithm is taken, and the thumbprints are equal.
for algorithm, key in KEYS.items():
    said = issue(
        proof(algorithm, claims()), subject=subject, with_refresh_token=True, register_subject=True
    )
    jkt = key.thumbprint()
    found = tokens.Introspect(
        t.IntrospectRequest(token=said.access_token), metadata=metadata(), timeout=20
    )
    must(found.active and found.confirmation.jkt == jkt, (algorithm, found))
    must(found.token_type == t.TOKEN_TYPE_DPOP, (algorithm, found))
    rotated = tokens.RotateRefresh(
        t.RotateRefreshRequest(refresh_token=said.refresh_token),
        metadata=metadata(proof(algorithm, claims("RotateRefresh"))),
        timeout=20,
    )
    presented = t.DpopPresentation(
        proof=proof(
            algorithm,
            claims(
                htm="GET",
                htu="https://api.example/x",
                ath=encoded(hashlib.sha256(rotated.access_token.encode()).digest()),
            ),
        ),
        method="GET",
        uri="https://API.example:443/x?y",
    )
    asked = t.IntrospectRequest(token=rotated.access_token, dpop=presented)
    found = tokens.Introspect(asked, metadata=metadata(), timeout=20)
    must(found.active, (algorithm, found))
    found = tokens.Introspect(asked, metadata=metadata(), timeout=20)
    must(not found.active and found.HasField("dpop_failure"), (algorithm, found))

# Twenty and more mangled ones, each refused for what is wrong with it.
good = proof("ES256", claims())
head, body, signature = good.split(".")
other = ECKey.generate_key("P-256")
secret = OctKey.generate_key(256)
public = {name: value for name, value in KEYS["ES256"].as_dict(private=False).items() if name != "kid"}
private = {name: value for name, value in KEYS["ES256"].as_dict(private=True).items() if name != "kid"}
rsa_small = {"kty": "RSA", "e": "AQAB", "n": encoded(os.urandom(127) + b"\x01")}
now = int(time.time())
flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
none = encoded(json.dumps({"typ": "dpop+jwt", "alg": "none", "jwk": public}).encode())
for said, check in [
    ("not.a.jwt", "dpop"),
    (f"{head}.{body}", "dpop"),
    (f"{good}.{signature}", "dpop"),
    (f"{head}.{body}.{flipped}", "signature"),
    (f"{head}.{encoded(json.dumps(claims()).encode())}.{signature}", "signature"),
    (f"{head}.{body}.{signature}=", "dpop"),
    (f"{none}.{body}.", "alg"),
    (proof("ES256", claims(), header={"typ": "JWT"}), "typ"),
    (proof("HS256", claims(), key=secret, jwk=dict(public)), "alg"),
    (proof("ES512", claims(), key=ECKey.generate_key("P-521")), "alg"),
    (proof("ES256", claims(), jwk=private), "jwk"),
    (proof("ES256", claims(), jwk={**public, "k": "AAAA"}), "jwk"),
    (proof("ES256", claims(), jwk={**public, "crv": "P-384"}), "jwk"),
    (proof("ES256", claims(), jwk={**public, "x": public["x"] + "A"}), "jwk"),
    (proof("ES256", claims(), jwk=other.as_dict(private=False)), "signature"),
    (proof("RS256", claims(), jwk=rsa_small), "signature"),
    (proof("ES256", claims(htm="PUT")), "htm"),
    (proof("ES256", claims("RotateRefresh")), "htu"),
    (proof("ES256", claims(htu="https://else.example" + SERVICE[len(origin) :] + "IssueToken")), "htu"),
    (proof("ES256", claims(iat=now - 7200)), "iat"),
    (proof("ES256", claims(iat=now + 7200)), "iat"),
    (proof("ES256", claims(iat=str(now))), "dpop"),
    (proof("ES256", claims(jti=None)), "jti"),
    (proof("ES256", claims(htm=None)), "htm"),
    (proof("ES256", claims(htu=None)), "htu"),
    (proof("ES256", claims(iat=None)), "iat"),
]:
    found = refused(said)
    must(found == check, f"expected {check}, got {found}: {said[:200]}")
must(refused(good, good) == "dpop", "two proofs")
issue(good)

# And the other way round: what the command makes, the library reads.
for algorithm in ["ES256", "ES384", "EdDSA"]:
    with tempfile.TemporaryDirectory() as place:
        file = os.path.join(place, "key.pem")
        binary = os.environ["COUNTERSIGN"]
        subprocess.run([binary, "dpop", "key", "--algorithm", algorithm, "--file", file], check=True)
        words = ["dpop", "proof", "--dpop-key", file, "--method", "GET", "--uri", "https://a.example/b"]
        made = subprocess.run([binary, *words, "--json"], check=True, capture_output=True)
        made = json.loads(made.stdout)
        header = json.loads(base64.urlsafe_b64decode(made["dpop"].split(".")[0] + "=="))
        kind = OKPKey if algorithm == "EdDSA" else ECKey
        key = kind.import_key(header["jwk"])
        read = jwt.decode(made["dpop"], KeySet([key]), algorithms=[algorithm])
        must(read.header["typ"] == "dpop+jwt" and read.claims["htm"] == "GET", read.header)
        must(key.thumbprint() == made["jkt"], "the thumbprints differ")

print("passed", flush=True)
os._exit(0)
