"""What each library has to achieve: client_credentials, the code grant with PKCE, refresh, and revocation."""

import oauthlib.oauth2
import requests
import requests_oauth2client
import requests_oauthlib
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from stage import CALLBACK, require

SCOPE = "proxy:read proxy:write"


def use(stage, token):
    """The status of a request to Core with this token."""
    return requests.get(stage.core(), headers={"Authorization": f"Bearer {token}"}, timeout=10).status_code


def refuses(kind, call, *arguments, **named):
    """Whether the call ends with an error of this kind for a grant that is not in force."""
    try:
        call(*arguments, **named)
    except kind as error:
        return "invalid_grant" in (getattr(error, "error", None) or str(error))
    return False


def metadata(stage):
    """Authlib accepts the metadata of RFC 8414 at the address that it makes of the issuer"""
    document = requests.get(get_well_known_url(stage.issuer, external=True), timeout=10).json()
    server = AuthorizationServerMetadata(document)
    server.validate()
    require(server.issuer == stage.issuer, f"issuer is {server.issuer}")
    return server


def authlib_credentials(stage):
    """Authlib gets tokens by client_credentials, with both ways to authenticate, and revokes them"""
    server = metadata(stage)
    for method in server.token_endpoint_auth_methods_supported:
        with OAuth2Session(
            stage.client, stage.secret, token_endpoint_auth_method=method, scope="proxy:read"
        ) as session:
            token = session.fetch_token(server.token_endpoint, grant_type="client_credentials")
            require(token["scope"] == "proxy:read" and not token.is_expired(), f"{method}: {token['scope']}")
            require(session.get(stage.core(), timeout=10).status_code == 200, f"{method}: Core is not reached")
            answer = session.revoke_token(server.revocation_endpoint, token=token["access_token"])
            require(answer.status_code == 200, f"{method}: revocation: {answer.status_code}")
            require(use(stage, token["access_token"]) == 401, f"{method}: the token is still accepted")


def authlib_code(stage):
    """Authlib gets tokens for a code with PKCE once, refreshes them, and revokes the grant"""
    server, verifier = metadata(stage), "v" * 64
    with OAuth2Session(
        stage.client, stage.secret, scope=SCOPE, redirect_uri=CALLBACK, code_challenge_method="S256",
        token_endpoint=server.token_endpoint,
    ) as session:  # fmt: skip
        url, _ = session.create_authorization_url(server.authorization_endpoint, code_verifier=verifier)
        require(create_s256_code_challenge(verifier) in url, "there is no challenge")
        callback = stage.log_in(url)
        wrong = {"authorization_response": callback, "code_verifier": "w" * 64}
        is_refused = refuses(OAuthError, session.fetch_token, server.token_endpoint, **wrong)
        require(is_refused, "another verifier is accepted")
        first = session.fetch_token(server.token_endpoint, authorization_response=callback, code_verifier=verifier)
        require(session.get(stage.core(), timeout=10).status_code == 200, "Core is not reached")
        second = session.refresh_token(server.token_endpoint, refresh_token=first["refresh_token"])
        require(second["refresh_token"] == first["refresh_token"], "the refresh token has changed")
        require(second["access_token"] != first["access_token"], "the access token is the same")
        session.revoke_token(server.revocation_endpoint, token=first["refresh_token"])
        require([use(stage, token["access_token"]) for token in (first, second)] == [401, 401], "a token is accepted")
        again = {"refresh_token": first["refresh_token"]}
        require(refuses(OAuthError, session.refresh_token, server.token_endpoint, **again), "the grant is in force")


def oauthlib_credentials(stage):
    """requests-oauthlib gets tokens by client_credentials, with both ways to authenticate"""
    server = metadata(stage)
    for named in (
        {"auth": requests.auth.HTTPBasicAuth(stage.client, stage.secret)},
        {"client_secret": stage.secret, "include_client_id": True},
    ):
        client = oauthlib.oauth2.BackendApplicationClient(client_id=stage.client, scope=["proxy:read"])
        with requests_oauthlib.OAuth2Session(client=client) as session:
            token = session.fetch_token(server.token_endpoint, timeout=10, **named)
            require(token.scope == "proxy:read", f"scope is {token.scope}")
            require(session.get(stage.core(), timeout=10).status_code == 200, "Core is not reached")


def oauthlib_code(stage):
    """requests-oauthlib gets tokens for a code with PKCE once, and refreshes them; a second use of the code revokes
    them; OAuthlib's revocation request works"""
    server = metadata(stage)
    auth = requests.auth.HTTPBasicAuth(stage.client, stage.secret)
    with requests_oauthlib.OAuth2Session(
        stage.client, redirect_uri=CALLBACK, scope=SCOPE.split(), pkce="S256"
    ) as session:
        url, _ = session.authorization_url(server.authorization_endpoint)
        callback = stage.log_in(url)
        named = {"authorization_response": callback, "client_secret": stage.secret, "timeout": 10}
        first = session.fetch_token(server.token_endpoint, **named)
        require(session.get(stage.core(), timeout=10).status_code == 200, "Core is not reached")
        second = session.refresh_token(server.token_endpoint, auth=auth, timeout=10)
        url, fields, body = session._client.prepare_token_revocation_request(
            server.revocation_endpoint, second["access_token"], "access_token")
        answer = requests.post(url, data=body, headers=fields, auth=auth, timeout=10)
        require(answer.status_code == 200, f"revocation: {answer.status_code}")
        require([use(stage, token["access_token"]) for token in (first, second)] == [200, 401], "not one is revoked")
        kind = oauthlib.oauth2.OAuth2Error
        require(refuses(kind, session.fetch_token, server.token_endpoint, **named), "the code works twice")
        require(use(stage, first["access_token"]) == 401, "a second use of the code has revoked nothing")


def requests_oauth2client_all(stage):
    """requests_oauth2client discovers the endpoints, gets tokens by client_credentials and for a code with PKCE, checks
    the issuer of the callback, refreshes and revokes"""
    url = requests_oauth2client.oauth2_discovery_document_url(stage.issuer)
    client = requests_oauth2client.OAuth2Client.from_discovery_endpoint(
        url, issuer=stage.issuer, client_id=stage.client, client_secret=stage.secret, redirect_uri=CALLBACK)
    token = client.client_credentials(scope="proxy:read")
    require(token.scope == "proxy:read" and use(stage, token.access_token) == 200, "client_credentials")
    require(client.revoke_access_token(token) and use(stage, token.access_token) == 401, "revocation")
    request = client.authorization_request(scope=SCOPE)
    answer = request.validate_callback(stage.log_in(str(request)))
    first = client.authorization_code(answer)
    require(first.scope == SCOPE and use(stage, first.access_token) == 200, "authorization_code")
    second = client.refresh_token(first)
    require(use(stage, second.access_token) == 200, "refresh_token")
    require(client.revoke_refresh_token(second.refresh_token), "revocation of the grant")
    require([use(stage, one.access_token) for one in (first, second)] == [401, 401], "a token is accepted")
    invalid = requests_oauth2client.InvalidGrant
    require(refuses(invalid, client.refresh_token, first.refresh_token), "the grant is in force")


CHECKS = [metadata, authlib_credentials, oauthlib_credentials, authlib_code, oauthlib_code, requests_oauth2client_all]
