"""Tokens as an attacker writes them: every part by hand, signed with whatever the forger holds.

No library writes them, since none would: a header with two algorithms, a number no clock shows, a signature
under a public key taken for a secret.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwcrypto import jwe, jwk

Sign = Callable[[bytes], bytes]


def b64(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def dumped(value: object) -> bytes:
    """JSON, with whatever Python's own writer allows, NaN included."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def with_x(document: dict[str, Any], value: bytes) -> bytes:
    """An object with one more member, whose value may be no JSON."""
    return dumped(document)[:-1] + b',"x":' + value + b"}"


NESTED = b"[" * 3000 + b"]" * 3000


def rs256(key: rsa.RSAPrivateKey, digest: HashAlgorithm | None = None) -> Sign:
    """RSASSA-PKCS1-v1_5."""
    return lambda text: key.sign(text, padding.PKCS1v15(), digest or SHA256())


def ps256(key: rsa.RSAPrivateKey) -> Sign:
    """RSASSA-PSS."""
    return lambda text: key.sign(text, padding.PSS(padding.MGF1(SHA256()), 32), SHA256())


def hs256(secret: bytes) -> Sign:
    """HMAC."""
    return lambda text: hmac.new(secret, text, hashlib.sha256).digest()


def unsigned(text: bytes) -> bytes:
    """Nothing at all."""
    return b""


@dataclass(frozen=True)
class Forge:
    """A good token in its parts, and every key that an attacker may hold, know or be given.

    Attributes:
        header: Of the good token.
        claims: Of the good token.
        private: The key it was signed with. Whoever signs with it stands for a confusion, not for a theft.
        strange: A key of the attacker's own.
        other_realm: The key of another realm of the same provider.
        other_kid: What that one is called.
    """

    header: dict[str, Any]
    claims: dict[str, Any]
    private: rsa.RSAPrivateKey
    strange: rsa.RSAPrivateKey
    other_realm: rsa.RSAPrivateKey
    other_kid: str

    def token(self, header: object = None, claims: object = None, sign: Sign | None = None) -> str:
        """The compact serialization; what is not given is that of the good token."""
        head = b64(dumped(self.header if header is None else header))
        body = b64(dumped(self.claims if claims is None else claims))
        signature = (sign or rs256(self.private))(f"{head}.{body}".encode())
        return f"{head}.{body}.{b64(signature)}"

    def headed(self, sign: Sign | None = None, **changes: Any) -> str:
        """The good token under another header; None takes a member out."""
        header = {name: value for name, value in {**self.header, **changes}.items() if value is not None}
        return self.token(header, sign=sign)

    def saying(self, **changes: Any) -> str:
        """The good token with other claims, well signed; None takes one out."""
        claims = {name: value for name, value in {**self.claims, **changes}.items() if value is not None}
        return self.token(claims=claims)

    @cached_property
    def pem(self) -> bytes:
        """The public key as everybody can write it down."""
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    @cached_property
    def jwk(self) -> dict[str, str]:
        """The public key as it is published."""
        return dict(jwk.JWK.from_pem(self.pem).export_public(as_dict=True))

    @cached_property
    def strange_jwk(self) -> dict[str, str]:
        """The attacker's own public key."""
        pem = self.strange.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return dict(jwk.JWK.from_pem(pem).export_public(as_dict=True))

    def encrypted(self, content: bytes, **header: Any) -> str:
        """A JWE for the published key that holds this, signed by nobody."""
        box = jwe.JWE(content, json.dumps({"alg": "RSA-OAEP", "enc": "A128GCM", **header}))
        box.add_recipient(jwk.JWK.from_pem(self.pem))
        return str(box.serialize(compact=True))


def _twice(forge: Forge) -> bytes:
    """A header with two algorithms: the first reader takes one, the second the other."""
    return b'{"alg":"none",' + dumped(forge.header)[1:]


def _twice_said(forge: Forge) -> bytes:
    return b'{"sub":"sub-mallory","iss":"https://evil.example",' + dumped(forge.claims)[1:]


def _json_serialization(forge: Forge) -> str:
    head, body, signature = forge.token().split(".")
    one = {"protected": head, "signature": signature}
    return json.dumps({"payload": body, "signatures": [one], **one})


#: Not one of these may be believed, by whom or as what ever it is shown.
FORGERIES: dict[str, Callable[[Forge], str]] = {
    "none": lambda f: f.headed(unsigned, alg="none"),
    "none-in-capitals": lambda f: f.headed(unsigned, alg="nOnE"),
    "none-with-the-old-signature": lambda f: f.headed(alg="none"),
    "no-algorithm": lambda f: f.headed(alg=None),
    "algorithm-empty": lambda f: f.headed(alg=""),
    "algorithm-a-list": lambda f: f.headed(alg=["RS256"]),
    "algorithm-a-number": lambda f: f.headed(alg=256),
    "algorithm-other-case": lambda f: f.headed(alg="rs256"),
    "hmac-under-the-public-pem": lambda f: f.headed(hs256(f.pem), alg="HS256"),
    "hmac-under-the-public-pem-stripped": lambda f: f.headed(hs256(f.pem.strip()), alg="HS256"),
    "hmac-under-the-public-jwk": lambda f: f.headed(hs256(dumped(f.jwk)), alg="HS256"),
    "hmac-under-the-modulus": lambda f: f.headed(hs256(f.jwk["n"].encode()), alg="HS256"),
    "hmac-under-nothing": lambda f: f.headed(hs256(b""), alg="HS256"),
    "hmac-under-the-kid": lambda f: f.headed(hs256(f.header["kid"].encode()), alg="HS256"),
    "hmac-said-to-be-rsa": lambda f: f.token(sign=hs256(f.pem)),
    "pss-of-the-same-key": lambda f: f.headed(ps256(f.private), alg="PS256"),
    "rs512-of-the-same-key": lambda f: f.headed(rs256(f.private, SHA512()), alg="RS512"),
    "pss-said-to-be-rs256": lambda f: f.token(sign=ps256(f.private)),
    "sha512-said-to-be-rs256": lambda f: f.token(sign=rs256(f.private, SHA512())),
    "strange-key": lambda f: f.token(sign=rs256(f.strange)),
    "strange-key-without-kid": lambda f: f.headed(rs256(f.strange), kid=None),
    "other-realm-under-our-kid": lambda f: f.token(sign=rs256(f.other_realm)),
    "other-realm-under-its-kid": lambda f: f.headed(rs256(f.other_realm), kid=f.other_kid),
    "our-key-under-the-other-kid": lambda f: f.headed(kid=f.other_kid),
    "kid-a-path": lambda f: f.headed(hs256(b""), alg="HS256", kid="../../../../dev/null"),
    "kid-a-query": lambda f: f.headed(kid="x' UNION SELECT 'secret' --"),
    "kid-with-nul": lambda f: f.headed(kid=f"{f.header['kid']}\0"),
    "kid-a-number": lambda f: f.headed(kid=7),
    "kid-a-list": lambda f: f.headed(kid=[f.header["kid"]]),
    "kid-an-address": lambda f: f.headed(rs256(f.strange), kid="https://evil.example/key"),
    "jwk": lambda f: f.headed(rs256(f.strange), jwk=f.strange_jwk),
    "jwk-without-kid": lambda f: f.headed(rs256(f.strange), jwk=f.strange_jwk, kid=None),
    "jku": lambda f: f.headed(rs256(f.strange), jku="https://evil.example/jwks"),
    "x5u": lambda f: f.headed(rs256(f.strange), x5u="https://evil.example/cert"),
    "x5c": lambda f: f.headed(rs256(f.strange), x5c=[f.jwk["n"]]),
    "crit": lambda f: f.headed(crit=["exp"], exp=1),
    "crit-empty": lambda f: f.headed(crit=[]),
    "crit-of-known-members": lambda f: f.headed(crit=["kid"]),
    "b64-false": lambda f: f.headed(b64=False, crit=["b64"]),
    "header-with-two-algorithms": lambda f: f.token(_twice(f)),
    "claims-said-twice": lambda f: f.token(claims=_twice_said(f)),
    "header-a-list": lambda f: f.token([f.header]),
    "header-null": lambda f: f.token(b"null"),
    "header-not-utf-8": lambda f: f.token(with_x(f.header, b'"\xff"')),
    "header-with-bom": lambda f: f.token(b"\xef\xbb\xbf" + dumped(f.header)),
    "header-nested": lambda f: f.token(with_x(f.header, NESTED)),
    "claims-a-list": lambda f: f.token(claims=[f.claims]),
    "claims-a-text": lambda f: f.token(claims=b'"sub"'),
    "claims-empty": lambda f: f.token(claims=b""),
    "claims-utf-16": lambda f: f.token(claims=json.dumps(f.claims).encode("utf-16")),
    "claims-nested": lambda f: f.token(claims=with_x(f.claims, NESTED)),
    "claims-with-nan": lambda f: f.saying(x=float("nan")),
    "claims-with-infinity": lambda f: f.token(claims=with_x(f.claims, b"1e999")),
    "claims-with-a-number-of-5000-digits": lambda f: f.token(claims=with_x(f.claims, b"9" * 5000)),
    "claims-with-half-a-character": lambda f: f.token(claims=with_x(f.claims, b'"\\ud800"')),
    "without-signature": lambda f: f.token(sign=unsigned),
    "signature-cut": lambda f: f.token()[:-8],
    "signature-of-zeros": lambda f: f.token(sign=lambda text: bytes(256)),
    "signature-of-one": lambda f: f.token(sign=lambda text: bytes(255) + b"\1"),
    "two-parts": lambda f: f.token().rpartition(".")[0],
    "four-parts": lambda f: f"{f.token()}.{b64(b'x')}",
    "json-serialization": _json_serialization,
    "jwe-of-the-claims": lambda f: f.encrypted(dumped(f.claims)),
    "jwe-of-the-claims-that-says-jwt": lambda f: f.encrypted(dumped(f.claims), cty="JWT"),
    "jwe-of-the-token": lambda f: f.encrypted(f.token().encode(), cty="JWT"),
    "jwe-of-a-token-with-none": lambda f: f.encrypted(f.headed(unsigned, alg="none").encode(), cty="JWT"),
    "iss-of-another": lambda f: f.saying(iss="https://evil.example"),
    "iss-with-a-slash": lambda f: f.saying(iss=f"{f.claims['iss']}/"),
    "iss-missing": lambda f: f.saying(iss=None),
    "iss-a-list": lambda f: f.saying(iss=[f.claims["iss"]]),
    "sub-missing": lambda f: f.saying(sub=None),
    "sub-a-number": lambda f: f.saying(sub=1),
    "sub-an-object": lambda f: f.saying(sub={"$ne": ""}),
    "aud-of-another": lambda f: f.saying(aud="https://evil.example"),
    "aud-missing": lambda f: f.saying(aud=None),
    "aud-a-number": lambda f: f.saying(aud=1),
    "aud-an-object": lambda f: f.saying(aud={f"{f.claims['aud']}": True}),
    "aud-of-other-things": lambda f: f.saying(aud=[1, None, ["x"]]),
}  # fmt: skip

#: What has an end: an end that no clock shows, or none at all.
ENDS: dict[str, Callable[[Forge], str]] = {
    "exp-missing": lambda f: f.saying(exp=None),
    "exp-a-text": lambda f: f.saying(exp=str(f.claims["exp"])),
    "exp-true": lambda f: f.saying(exp=True),
    "exp-negative": lambda f: f.saying(exp=-1),
    "exp-zero": lambda f: f.saying(exp=0),
    "exp-a-list": lambda f: f.saying(exp=[f.claims["exp"]]),
    "exp-over": lambda f: f.saying(exp=1_000_000_000),
    "exp-a-fraction-over": lambda f: f.saying(exp=1_000_000_000.5),
    "exp-nan": lambda f: f.saying(exp=float("nan")),
    "exp-beyond-any-clock": lambda f: f.saying(exp=10**30),
    "exp-a-large-fraction": lambda f: f.token(claims={**f.claims, "exp": 1e300}),
    "nbf-ahead": lambda f: f.saying(nbf=f.claims["exp"] + 10**6),
    "nbf-a-text": lambda f: f.saying(nbf="0"),
    "iat-a-text": lambda f: f.saying(iat="0"),
}
