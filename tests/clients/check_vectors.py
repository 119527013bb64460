"""Recomputes tests/vectors/tokens.json from docs/tokens.md alone.

Nothing here was taken from the Rust code: what both agree on, the page says.
Exits 0 when every vector holds, 1 with a line for each that does not.
"""

import base64
import json
import pathlib
import re
import sys
import uuid
import zlib

import blake3

ROOT = pathlib.Path(__file__).resolve().parents[2]
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
CONTEXTS = {
    "access.mac": "countersign v1 access token mac",
    "access.digest": "countersign v1 access token digest",
    "refresh.mac": "countersign v1 refresh token mac",
    "refresh.digest": "countersign v1 refresh token digest",
    "secret.mac": "countersign v1 client secret mac",
    "secret.digest": "countersign v1 client secret digest",
    "rotation": "countersign v1 rotation",
}
# kind: prefix, bytes of a body, MAC key
FORMS = {
    "access": ("cs_at_", 48, "access.mac"),
    "refresh": ("cs_rt_", 60, "refresh.mac"),
    "client_secret": ("cs_cs_", 60, "secret.mac"),
}
SCANNERS = (
    r"cs_at_[0-9A-Za-z_-]{64}[0-4][0-9A-Za-z]{5}",
    r"cs_(?:rt|cs)_[0-9A-Za-z_-]{80}[0-4][0-9A-Za-z]{5}",
)


class Refused(Exception):
    """A key file or token is not one; its text is the cause."""


def u32(number):
    return number.to_bytes(4, "big")


def keyed(key, message):
    return blake3.blake3(message, key=key).digest()


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text):
    if not re.fullmatch(r"[0-9A-Za-z_-]*", text) or len(text) % 4 == 1:
        raise Refused("form")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64url(data) != text:
        raise Refused("form")
    return data


def read_keys(text):
    """A key file's keys in order: {id: {name: derived key}}."""
    ring = {}
    for line in text.split("\n"):
        line = line.removesuffix("\r").split("#")[0].strip(" \t")
        if not line:
            continue
        parts = re.fullmatch(r"([0-9A-Fa-f]{8})[ \t]+(\S+)", line)
        if not parts:
            raise Refused("malformed")
        try:
            secret = from_base64url(parts[2])
        except Refused:
            raise Refused("malformed") from None
        if len(secret) != 32:
            raise Refused("malformed")
        key_id = int(parts[1], 16)
        if key_id in ring:
            raise Refused("duplicate")
        ring[key_id] = {
            name: blake3.blake3(secret, derive_key_context=context).digest()
            for name, context in CONTEXTS.items()
        }
    if not ring:
        raise Refused("empty")
    return ring


def checksum(text):
    rest, digits = zlib.crc32(text.encode()), ""
    for _ in range(6):
        rest, digit = divmod(rest, 62)
        digits = DIGITS[digit] + digits
    return digits


def write(kind, keys, fields):
    """The whole body and the text of a token whose body starts with `fields`."""
    prefix, length, mac = FORMS[kind]
    body = fields + keyed(keys[mac], fields)[:16]
    assert len(body) == length
    text = prefix + base64url(body)
    return body, text + checksum(text)


def read(kind, ring, text):
    """The body of a token, or why it is none."""
    prefix, length, mac = FORMS[kind]
    if (
        not text.startswith(prefix)
        or not text.isascii()
        or len(text) != len(prefix) + length * 4 // 3 + 6
    ):
        raise Refused("form")
    if checksum(text[:-6]) != text[-6:]:
        raise Refused("checksum")
    body = from_base64url(text[len(prefix) : -6])
    keys = ring.get(int.from_bytes(body[:4], "big"))
    if keys is None:
        raise Refused("unknown_key")
    if keyed(keys[mac], body[:-16])[:16] != body[-16:]:
        raise Refused("mac")
    return body


def successor(keys, body, salt):
    """The body's fields of a refresh token's successor."""
    session, counter, secret = body[4:20], int.from_bytes(body[20:24], "big"), body[24:44]
    after = u32(counter + 1)
    derived = keyed(keys["rotation"], secret + salt + session + after)[:20]
    return body[:4] + session + after + derived


class Check:
    def __init__(self):
        self.done, self.failed = 0, 0

    def same(self, what, found, expected):
        self.done += 1
        if found != expected:
            self.failed += 1
            print(f"{what}: computed {found}, the vectors say {expected}")


def attempt(action, *arguments):
    """What the action returns, or the cause of its refusal."""
    try:
        return action(*arguments)
    except Refused as cause:
        return str(cause)


def check(vectors, page):
    it = Check()
    ring = read_keys(vectors["key_file"])
    unhex = bytes.fromhex

    it.same("the CRC-32 of the check text", zlib.crc32(b"123456789"), 0xCBF43926)
    for vector in vectors["checksums"]:
        it.same(f"checksum of {vector['text']!r}", checksum(vector["text"]), vector["checksum"])

    for vector in vectors["key_files"]:
        found = attempt(lambda text: [f"{key:08x}" for key in read_keys(text)], vector["text"])
        it.same(f"key file {vector['text']!r}", found, vector.get("ids", vector.get("refused")))

    for vector in vectors["derived_keys"]:
        keys = ring[int(vector["key_id"], 16)]
        it.same(f"keys of {vector['key_id']}", {n: k.hex() for n, k in keys.items()}, vector["keys"])

    def token(kind, vector, fields, digest):
        keys = ring[int(vector["key_id"], 16)]
        body, text = write(kind, keys, fields)
        it.same(f"{kind} body", body.hex(), vector["body"])
        it.same(f"{kind} text", text, vector["text"])
        it.same(f"{kind} digest", digest(keys, body), vector["digest"])
        it.same(f"{kind} read back", attempt(read, kind, ring, vector["text"]), body)
        scanned = [match for scanner in SCANNERS for match in re.findall(scanner, f"\\n{text}-x")]
        it.same(f"{kind} scanned", scanned, [text])

    def ledger(keys, body):
        return base64url(keyed(keys["refresh.digest"], body))

    for vector in vectors["access"]:
        token(
            "access",
            vector,
            unhex(vector["key_id"]) + u32(vector["minted_at"]) + unhex(vector["random"]),
            lambda keys, body: (body[4:8] + keyed(keys["access.digest"], body)[:28]).hex(),
        )
    for vector in vectors["refresh"]:
        token(
            "refresh",
            vector,
            unhex(vector["key_id"])
            + uuid.UUID(vector["session_id"]).bytes
            + u32(vector["counter"])
            + unhex(vector["secret"]),
            ledger,
        )
    for vector in vectors["client_secrets"]:
        token(
            "client_secret",
            vector,
            unhex(vector["key_id"]) + uuid.UUID(vector["client_id"]).bytes + unhex(vector["random"]),
            lambda keys, body: keyed(keys["secret.digest"], body).hex(),
        )

    for vector in vectors["successors"]:
        text = vector["of"]
        for step in vector["steps"]:
            body = read("refresh", ring, text)
            keys = ring[int.from_bytes(body[:4], "big")]
            body, text = write("refresh", keys, successor(keys, body, unhex(vector["salt"])))
            it.same("successor text", text, step["text"])
            it.same("successor digest", ledger(keys, body), step["digest"])

    for vector in vectors["refused"]:
        found = attempt(read, vector["kind"], ring, vector["text"])
        it.same(f"{vector['kind']} {vector['text']!r}", found, vector["cause"])

    for scanner in SCANNERS:
        it.same("the page has the scanner", f"\n{scanner}\n" in page, True)
    for name, context in CONTEXTS.items():
        it.same(f"the page has the context of {name}", f"| `{context}` | `{name}` |" in page, True)
    first = vectors["successors"][0]
    worked = [vectors["key_file"].splitlines()[1], vectors["derived_keys"][0]["keys"]["access.mac"]]
    worked += [vectors["access"][0][part] for part in ("body", "text", "digest")]
    worked += [vectors["refresh"][0][part] for part in ("text", "digest")]
    worked += [first["steps"][0][part] for part in ("text", "digest")]
    worked += [vectors["client_secrets"][0][part] for part in ("text", "digest")]
    for value in worked:
        it.same(f"the page has {value}", f"\n{value}\n" in page, True)
    return it


def main():
    vectors = json.loads((ROOT / "tests/vectors/tokens.json").read_text("utf-8"))
    page = (ROOT / "docs/tokens.md").read_text("utf-8")
    it = check(vectors, page)
    print(f"token vectors: {it.done - it.failed} of {it.done} checks hold")
    sys.exit(1 if it.failed else 0)


if __name__ == "__main__":
    main()
