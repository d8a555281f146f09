"""Stand-ins for Fulcio and Rekor on localhost, with roots of their own: real certificates, a log of one entry.

A certificate carries a certificate transparency timestamp, an entry its inclusion proof, a signed checkpoint and a
signed timestamp, so that Sigstore's own client checks everything that it checks of the public servers.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ISSUER = "https://issuer.example"
ISSUER_OID, ISSUER_V2_OID, SCT_OID = (
    x509.ObjectIdentifier(text) for text in
    ("1.3.6.1.4.1.57264.1.1", "1.3.6.1.4.1.57264.1.8", "1.3.6.1.4.1.11129.2.4.2")
)


def token(identity: str) -> str:
    """An identity token; that its signature is good is for a real Fulcio to check."""
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": "sigstore", "sub": identity, "iat": now, "exp": now + 600}
    return jwt.encode(claims, "a secret of thirty-two bytes and more", algorithm="HS256")


class Servers:
    """Keys, and what is made with them."""

    def __init__(self) -> None:
        self.root, self.ct, self.log = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stand-in")])
        usage = dict.fromkeys(("digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
                               "key_agreement", "encipher_only", "decipher_only"), False)
        self.certificate = (
            _builder(name, name, self.root.public_key(), timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.KeyUsage(**usage, key_cert_sign=True, crl_sign=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.root.public_key()), critical=False)
            .sign(self.root, hashes.SHA256())
        )

    def certify(self, asked: dict[str, Any], bearer: str) -> dict[str, Any]:
        """Fulcio's answer to a certificate signing request."""
        request = x509.load_pem_x509_csr(base64.b64decode(asked["certificateSigningRequest"]))
        claims = jwt.decode(bearer, options={"verify_signature": False})
        issuer = claims["iss"].encode()
        builder = (
            _builder(x509.Name([]), self.certificate.subject, request.public_key(), timedelta(minutes=10))
            .add_extension(x509.KeyUsage(True, *[False] * 8), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.root.public_key()), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(claims["sub"])]), critical=True)
            .add_extension(x509.UnrecognizedExtension(ISSUER_OID, issuer), critical=False)
            .add_extension(x509.UnrecognizedExtension(ISSUER_V2_OID, bytes([0x0C, len(issuer)]) + issuer),
                           critical=False)
        )
        precertificate = builder.sign(self.root, hashes.SHA256()).tbs_certificate_bytes
        timestamp = self._sct(precertificate)
        made = builder.add_extension(x509.UnrecognizedExtension(SCT_OID, timestamp), critical=False).sign(
            self.root, hashes.SHA256())
        chain = [each.public_bytes(Encoding.PEM).decode() for each in (made, self.certificate)]
        return {"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}}

    def _sct(self, tbs: bytes) -> bytes:
        """RFC 6962, 3.2 and 3.3: the log's signature on a precertificate, as the value of the extension."""
        moment = int(time.time() * 1000)
        entry = hashlib.sha256(_spki(self.root)).digest() + len(tbs).to_bytes(3, "big") + tbs
        signed = struct.pack("!BBQH", 0, 0, moment, 1) + entry + b"\0\0"
        signature = self.ct.sign(signed, ec.ECDSA(hashes.SHA256()))
        sct = b"\0" + _key_id(self.ct) + struct.pack("!QH", moment, 0) + b"\x04\x03" + _sized(signature)
        value = _sized(_sized(sct))
        return (b"\x04\x81" if len(value) > 127 else b"\x04") + bytes([len(value)]) + value

    def log_entry(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Rekor's answer: a tree of this one entry."""
        body = json.dumps(asked, sort_keys=True, separators=(",", ":")).encode()
        root = hashlib.sha256(b"\0" + body).digest()
        entry = {"body": base64.b64encode(body).decode(), "integratedTime": int(time.time()),
                 "logID": _key_id(self.log).hex(), "logIndex": 0}
        promise = self.log.sign(json.dumps(entry, sort_keys=True, separators=(",", ":")).encode(),
                                ec.ECDSA(hashes.SHA256()))
        note = f"localhost - 1\n1\n{base64.b64encode(root).decode()}\n"
        signature = _key_id(self.log)[:4] + self.log.sign(note.encode(), ec.ECDSA(hashes.SHA256()))
        proof = {"logIndex": 0, "rootHash": root.hex(), "treeSize": 1, "hashes": [],
                 "checkpoint": f"{note}\n\u2014 localhost {base64.b64encode(signature).decode()}\n"}
        return {"1": {**entry, "verification": {
            "inclusionProof": proof, "signedEntryTimestamp": base64.b64encode(promise).decode()}}}

    def trust_config(self, url: str) -> dict[str, Any]:
        """What a client needs to know of these servers."""
        valid = {"start": (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")}

        def log(key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
            public = {"rawBytes": base64.b64encode(_spki(key)).decode(), "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                      "validFor": valid}
            return {"baseUrl": url, "hashAlgorithm": "SHA2_256", "publicKey": public,
                    "logId": {"keyId": base64.b64encode(_key_id(key)).decode()}}

        root = base64.b64encode(self.certificate.public_bytes(Encoding.DER)).decode()
        service = {"url": url, "majorApiVersion": 1, "validFor": valid, "operator": "stand-in"}
        return {
            "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot": {
                "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
                "tlogs": [log(self.log)], "ctlogs": [log(self.ct)], "timestampAuthorities": [],
                "certificateAuthorities": [{
                    "subject": {"organization": "stand-in", "commonName": "stand-in"}, "uri": url,
                    "certChain": {"certificates": [{"rawBytes": root}]}, "validFor": valid,
                }],
            },
            "signingConfig": {
                "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json", "caUrls": [service],
                "oidcUrls": [], "rekorTlogUrls": [service], "tsaUrls": [], "rekorTlogConfig": {"selector": "ANY"},
                "tsaConfig": {"selector": "ANY"},
            },
        }


@contextmanager
def running() -> Iterator[tuple[Servers, str]]:
    """The servers and their address."""
    servers = Servers()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
            answer = servers.certify(asked, bearer) if "signingCert" in self.path else servers.log_entry(asked)
            self.send_response(201)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield servers, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _builder(subject: x509.Name, issuer: x509.Name, key: Any, lasts: timedelta) -> x509.CertificateBuilder:
    now = datetime.now(UTC) - timedelta(minutes=1)
    return (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
            .serial_number(x509.random_serial_number()).not_valid_before(now).not_valid_after(now + lasts))


def _spki(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _key_id(key: ec.EllipticCurvePrivateKey) -> bytes:
    return hashlib.sha256(_spki(key)).digest()


def _sized(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data
