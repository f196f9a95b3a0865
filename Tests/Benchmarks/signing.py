"""Targets with tokens that the gateway signs, and the settings of a gateway that accepts them."""

import sys
from dataclasses import dataclass
from pathlib import Path

import policies
from data import digest, write_lines

# Last, because it has modules with the same names as some here.
sys.path.append(str(Path(__file__).resolve().parents[1] / "OAuthClients"))
import signed

ISSUER, KEY_NAME, KEY = "https://gateway.example", "benchmark", digest("signing key")
# The longest `oauth.access_token_s`, so that no token expires during a run.
SECONDS = 86_400
# 16 times the tokens that a loop keeps, so that each was evicted long before its next turn.
NEW_TOKENS = 32_768


@dataclass(frozen=True)
class Signed:
    """Files of targets as in data.py: the same clients and instances, but with signed tokens."""

    settings: dict
    seen: Path  # one token for each client
    new: Path  # another token in each line
    forged: Path  # as `seen`, but with wrong authentication codes


def make(folder, data, targets, clients_max=None):
    """Makes signed tokens for the clients in `targets`, a file of `data`; `clients_max`: only for the first ones."""
    folder.mkdir()
    key = folder / "signing.key"
    policies.write_private(key, KEY)
    names = {client.token: client.name for client in data.clients}
    lines = [(names[token], instance) for token, instance in map(str.split, targets.read_text().splitlines())]
    kept = list(dict.fromkeys(name for name, _ in lines))[:clients_max]
    own = {name: token(name) for name in kept}
    lines = [(name, instance) for name, instance in lines if name in own]
    result = Signed(
        {"oauth": {"issuer": ISSUER, "keys": [{"id": KEY_NAME, "file": str(key)}]}},
        *(folder / f"{name}.txt" for name in ("seen", "new", "forged")),
    )
    write_lines(result.seen, ((own[name], instance) for name, instance in lines))
    write_lines(result.forged, ((signed.forged(own[name]), instance) for name, instance in lines))
    rounds = -(-NEW_TOKENS // len(lines))
    write_lines(result.new, ((token(name), instance) for name, instance in lines * rounds))
    return result


def token(client):
    return signed.signed(
        signed.ACCESS,
        key=KEY,
        key_name=KEY_NAME,
        issuer=ISSUER,
        client=client,
        scope="proxy:read proxy:write",
        lifetime=SECONDS,
    )
