"""What Tests/introspection-servers checks, in order."""

import re
import time

from servers import SECONDS_MAX, Fault


def expect(stage, token, status, method="GET", code=None):
    found, found_code, fields = stage.ask(token, method)
    if found != status or code and found_code != code:
        raise Fault(f"{method}: expected {status} {code or ''}, got {found} {found_code or ''}")
    return fields


def credentials(stage, scope="ledger.read ledger.write", client="web-shop", **form):
    return stage.server.token(client, grant_type="client_credentials", scope=scope, **form)["access_token"]


def eventually(condition, what):
    deadline = time.monotonic() + SECONDS_MAX
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise Fault(f"after {SECONDS_MAX} s not true: {what}")
        time.sleep(0.2)
    return result


def accepts_tokens(stage):
    """a token that the server issued is accepted for reads and writes"""
    token = credentials(stage)
    expect(stage, token, 200)
    expect(stage, token, 200, "POST")
    if stage.core.leaks:
        raise Fault("the token was sent to Core")


def maps_scopes(stage):
    """a token with a reading scope cannot write, and one with a scope that the policy does not map cannot read"""
    token = credentials(stage, "ledger.read")
    expect(stage, token, 200)
    expect(stage, token, 403, "POST", "GATEWAY_SCOPE_INSUFFICIENT")
    expect(stage, credentials(stage, "ledger.audit"), 403, code="GATEWAY_SCOPE_INSUFFICIENT")


def rejects_unknown_tokens(stage):
    """a token that the server does not know is rejected"""
    expect(stage, "made-up", 401, code="GATEWAY_TOKEN_INVALID")


def rejects_other_clients(stage):
    """a token of a client that the policy does not name is rejected"""
    token = credentials(stage, "ledger.read", stage.server.gateway_client)
    expect(stage, token, 401, code="GATEWAY_TOKEN_INVALID")


def checks_audience(stage):
    """with an audience in the policy, a token for another service or for none is rejected"""
    stage.start_gateway(audience="https://ledger.example")
    expect(stage, credentials(stage, "ledger.read", resource="https://ledger.example"), 200)
    expect(stage, credentials(stage, "ledger.read", resource="https://other.example"), 401)
    expect(stage, credentials(stage, "ledger.read"), 401)
    stage.start_gateway()


def rejects_refresh_tokens(stage):
    """the access token of a user is accepted, the refresh token that came with it is not"""
    answer = stage.server.token(
        "web-app", grant_type="password", username="alice", password="alice of the tests", scope="ledger.read")
    expect(stage, answer["access_token"], 200)
    expect(stage, answer["refresh_token"], 401)


def notices_revocation(stage):
    """after a token is revoked at the server, writes are rejected at once and reads after cache_s"""
    token = credentials(stage)
    expect(stage, token, 200)
    stage.server.revoke("web-shop", token)
    expect(stage, token, 401, "POST")
    expect(stage, token, 401)
    other = credentials(stage)
    expect(stage, other, 200)
    stage.server.revoke("web-shop", other)
    eventually(lambda: stage.ask(other)[0] == 401, "a read is rejected after cache_s")


def notices_expiry(stage):
    """a token is rejected once it has expired"""
    with stage.server.short_lived() as token:
        expect(stage, token, 200)
        eventually(lambda: stage.ask(token)[0] == 401, "a read is rejected after exp")


def explains(stage):
    """explain shows the server's answer and the client"""
    found = stage.command(
        "explain", "--token-stdin", "--method", "GET", "--target", "/proxy/balances?instance_id=one",
        text=credentials(stage))
    wanted = ["introspect", stage.server.name, 'client_id "web-shop"', "client shop", "relayed: GET /balances"]
    if found.returncode != 0 or any(text not in found.stdout for text in wanted):
        raise Fault(f"{found.stdout}{found.stderr}")
    checked = stage.command("check")
    if checked.returncode != 0:
        raise Fault(f"check: {checked.stdout}{checked.stderr}")


def is_unavailable_without_server(stage):
    """while the server is down its tokens get 503 and nothing is relayed; afterwards they are accepted"""
    token, count = credentials(stage), stage.core.count
    stage.server.stop()
    for method in ["GET", "POST"]:
        fields = expect(stage, token, 503, method, "GATEWAY_INTROSPECTION_UNAVAILABLE")
        if not fields["Retry-After"]:
            raise Fault("no Retry-After")
    if stage.core.count != count:
        raise Fault("a request was relayed")
    stage.server.start()
    expect(stage, token, 200)


def is_unavailable_with_wrong_secret(stage):
    """with a wrong secret or another certificate authority, tokens get 503 and a report names the server"""
    token = credentials(stage)
    for changes, cause in [({"client_secret": {"env": "CORE_KEY"}}, 'check "client_id" and "client_secret"'),
                           ({"tls": {"ca_file": str(stage.folder / "other.pem")}}, "certificate")]:
        before = len(stage.log)
        stage.start_gateway(**changes)
        expect(stage, token, 503, code="GATEWAY_INTROSPECTION_UNAVAILABLE")
        # The report may come a moment after the response.
        report = eventually(
            lambda: re.search(r"^introspection (.+)\n", stage.log[before:], re.MULTILINE), "the gateway reports a fault")
        if not report[1].startswith(f"{stage.server.name}: ") or cause not in report[1]:
            raise Fault(f"expected a report of {stage.server.name} with {cause!r}: {report[0]}")
    stage.start_gateway()
    expect(stage, token, 200)


def logs_no_secrets(stage):
    """the logs name the server, and have no part of a token or secret"""
    # The access log is complete once the gateway has ended.
    stage.start_gateway()
    requests = (stage.folder / "state/access.log").read_text()
    if f'"issuer":"{stage.server.name}"' not in requests:
        raise Fault("the access log does not name the server")
    secrets = [stage.server.secret_of(stage.server.gateway_client)]
    secrets += [part for token in stage.server.issued for part in token.split(".")]
    if any(secret in text for secret in secrets for text in (requests, stage.log)):
        raise Fault("a token or secret is in a log")


CHECKS = [
    accepts_tokens, maps_scopes, rejects_unknown_tokens, rejects_other_clients, rejects_refresh_tokens, checks_audience,
    notices_revocation, notices_expiry, explains, is_unavailable_without_server, is_unavailable_with_wrong_secret,
    logs_no_secrets,
]
