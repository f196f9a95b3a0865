"""The tokens that the gateway signs, according to the layout in Sources/OAuth/SignedToken.swift: a second
implementation, to make codes without the gateway, and forged tokens."""

import base64
import hashlib
import hmac
import os
import struct
import time

KNOWN_SCOPES = ["proxy:read", "proxy:write", "*", "data:read", "data:write"]
PREFIXES = {1: "blnk_at_", 2: "blnk_rt_", 3: "blnk_ac_"}
ACCESS, CODE = 1, 3


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(kind, *, key, key_name, issuer, client, scope, lifetime, redirect_uri=None, challenge=None):
    """A token for the issuer as the audience.

    challenge: the code_challenge of the authorization request; None: it had none.
    """
    digest = lambda text: hashlib.sha256(text.encode()).digest()
    token_id = os.urandom(12)
    known = sum(1 << KNOWN_SCOPES.index(name) for name in scope.split() if name in KNOWN_SCOPES)
    is_known = scope == " ".join(name for bit, name in enumerate(KNOWN_SCOPES) if known >> bit & 1)
    payload = bytes([2 << 4 | (0 if is_known else 4) | kind]) + digest(key_name)[:4] + digest(f"{issuer}\0{issuer}")[:8]
    payload += struct.pack(">II", int(time.time()), lifetime) + token_id
    payload += bytes([len(client)]) + client.encode()
    payload += bytes([known]) if is_known else struct.pack(">H", len(scope)) + scope.encode()
    if kind == CODE:
        payload += digest(redirect_uri)
        payload += b"\0" if challenge is None else b"\1" + base64.urlsafe_b64decode(challenge + "=")
    return PREFIXES[kind] + encoded(payload + hmac.digest(key.encode(), payload, "sha256"))


def forged(token):
    """The same token with another authentication code."""
    characters = token[len(PREFIXES[ACCESS]) :]
    payload = base64.urlsafe_b64decode(characters + "=" * (-len(characters) % 4))[:-32]
    return token[: len(PREFIXES[ACCESS])] + encoded(payload + os.urandom(32))
