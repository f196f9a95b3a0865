"""What Tests/introspection-servers checks, in order."""

import time

from running import PATIENCE, Fault


def expect(stage, token, status, method="GET", code=None):
    found, found_code, fields = stage.ask(token, method)
    if found != status or code and found_code != code:
        raise Fault(f"{method}: expected {status} {code or ''}, got {found} {found_code or ''}")
    return fields


def credentials(stage, scope="ledger.read ledger.write"):
    return stage.token("web-shop", grant_type="client_credentials", scope=scope)["access_token"]


def accepts_tokens(stage):
    """a token that the server issued is accepted for reads and writes"""
    token = credentials(stage)
    expect(stage, token, 200)
    expect(stage, token, 200, "POST")
    if stage.core.leaks:
        raise Fault("the token was sent to Core")


def maps_scopes(stage):
    """a token with a reading scope cannot write"""
    token = credentials(stage, "ledger.read")
    expect(stage, token, 200)
    expect(stage, token, 403, "POST", "GATEWAY_SCOPE_INSUFFICIENT")


def rejects_unknown_tokens(stage):
    """a token that the server does not know is rejected"""
    expect(stage, "made-up", 401, code="GATEWAY_TOKEN_INVALID")


def rejects_other_clients(stage):
    """a token of a client that the policy does not name is rejected"""
    token = stage.token("gate way", grant_type="client_credentials", scope="ledger.read")["access_token"]
    expect(stage, token, 401, code="GATEWAY_TOKEN_INVALID")


def rejects_refresh_tokens(stage):
    """the access token of a user is accepted, the refresh token that came with it is not"""
    answer = stage.token(
        "web-app", grant_type="password", username="alice", password="alice of the tests", scope="ledger.read")
    expect(stage, answer["access_token"], 200)
    expect(stage, answer["refresh_token"], 401)


def notices_revocation(stage):
    """after a token is revoked at the server, writes are rejected at once and reads after cache_s"""
    token = credentials(stage)
    expect(stage, token, 200)
    status, _ = stage.post("/o/revoke_token/", "web-shop", token=token)
    if status != 200:
        raise Fault(f"the server did not revoke: {status}")
    expect(stage, token, 401, "POST")
    expect(stage, token, 401)
    other = credentials(stage)
    expect(stage, other, 200)
    stage.post("/o/revoke_token/", "web-shop", token=other)
    end = time.monotonic() + PATIENCE
    while stage.ask(other)[0] != 401:
        if time.monotonic() > end:
            raise Fault("a read is accepted long after cache_s")
        time.sleep(0.2)


def notices_expiry(stage):
    """a token is rejected once it has expired"""
    stage.post("/short-lived", "web-shop")
    expect(stage, "short-lived", 200)
    end = time.monotonic() + PATIENCE
    while stage.ask("short-lived")[0] != 401:
        if time.monotonic() > end:
            raise Fault("it is accepted after its exp")
        time.sleep(0.2)


def explains(stage):
    """explain shows the server's answer and the client"""
    found = stage.command(
        "explain", "--token-stdin", "--method", "GET", "--target", "/proxy/balances?instance_id=one",
        text=credentials(stage))
    wanted = ["introspect", 'client_id "web-shop"', "client shop", "relayed: GET /balances"]
    if found.returncode != 0 or any(text not in found.stdout for text in wanted):
        raise Fault(f"{found.stdout}{found.stderr}")
    checked = stage.command("check")
    if checked.returncode != 0:
        raise Fault(f"check: {checked.stdout}{checked.stderr}")


def is_unavailable_without_server(stage):
    """while the server is down its tokens get 503 and nothing is relayed; afterwards they are accepted"""
    token, count = credentials(stage), stage.core.count
    stage.stop_server()
    for method in ["GET", "POST"]:
        fields = expect(stage, token, 503, method, "GATEWAY_INTROSPECTION_UNAVAILABLE")
        if not fields["Retry-After"]:
            raise Fault("no Retry-After")
    if stage.core.count != count:
        raise Fault("a request was relayed")
    stage.start_server()
    expect(stage, token, 200)


def is_unavailable_with_wrong_secret(stage):
    """with a wrong secret, and with another certificate authority, tokens get 503"""
    token = credentials(stage)
    stage.start_gateway(client_secret={"env": "CORE_KEY"})
    expect(stage, token, 503, code="GATEWAY_INTROSPECTION_UNAVAILABLE")
    stage.start_gateway(tls={"ca_file": str(stage.folder / "other.pem")})
    expect(stage, token, 503, code="GATEWAY_INTROSPECTION_UNAVAILABLE")
    stage.start_gateway()
    expect(stage, token, 200)


CHECKS = [
    accepts_tokens, maps_scopes, rejects_unknown_tokens, rejects_other_clients, rejects_refresh_tokens,
    notices_revocation, notices_expiry, explains, is_unavailable_without_server, is_unavailable_with_wrong_secret,
]
