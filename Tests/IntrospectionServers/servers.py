"""The OAuth servers that Tests/introspection-servers asks. Each is a process that serves TLS on 127.0.0.1."""

import base64
import contextlib
import http.client
import json
import sqlite3
import ssl
import subprocess
import urllib.parse
from pathlib import Path

from process import end, free_port, tail, wait_for_port

SECONDS_MAX = 30
SCOPES = ["ledger.read", "ledger.write", "ledger.audit"]


class Fault(Exception):
    """A check does not hold, or something did not start."""


class Server:
    """An OAuth server with the clients `web-shop`, `web-app` and `gateway_client`, and the user alice.

    `folder` has its certificate and key, `server.pem` and `server.key`.
    """

    name = introspect = token_endpoint = revoke_endpoint = ""
    gateway_client = secret = ""

    def __init__(self, folder):
        self.folder, self.log = folder, folder / "server.log"
        self.process, self.port = None, 0
        self.issued = []

    def start(self):
        raise NotImplementedError

    def short_lived(self):
        """A context with an access token of `web-shop` that expires in a moment."""
        raise NotImplementedError

    def stop(self):
        if self.process is not None:
            end(self.process)

    def request(self, method, path, body, fields):
        context = ssl.create_default_context(cafile=str(self.folder / "server.pem"))
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=SECONDS_MAX)
        connection.request(method, path, body, fields)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        return response, json.loads(text) if text else {}

    def secret_of(self, client):
        return self.secret.format(client)

    def post(self, path, client, **form):
        """A form, sent as one of the clients; returns the status and the JSON."""
        name, secret = (urllib.parse.quote_plus(text) for text in (client, self.secret_of(client)))
        fields = {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode(),
                  "Content-Type": "application/x-www-form-urlencoded"}
        response, answer = self.request("POST", path, urllib.parse.urlencode(form), fields)
        return response.status, answer

    def token(self, client, **form):
        status, answer = self.post(self.token_endpoint, client, **form)
        if status != 200:
            raise Fault(f"the OAuth server gave no token: {status} {answer}")
        self.issued += [answer[key] for key in ("access_token", "refresh_token") if key in answer]
        return answer

    def revoke(self, client, token):
        status, _ = self.post(self.revoke_endpoint, client, token=token)
        if status != 200:
            raise Fault(f"the OAuth server did not revoke: {status}")


class Toolkit(Server):
    """django-oauth-toolkit, in the Python that has its packages; see toolkit.py."""

    name = "django-oauth-toolkit"
    introspect, token_endpoint, revoke_endpoint = "/o/introspect/", "/o/token/", "/o/revoke_token/"
    # Characters that HTTP Basic needs form-encoded (RFC 6749 §2.3.1).
    gateway_client, secret = "gate way", "secret:of {}"

    def __init__(self, folder, python):
        super().__init__(folder)
        self.python = python

    def start(self):
        program = Path(__file__).parent / "toolkit.py"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.python, "-B", program, self.folder, str(self.port)], stdout=subprocess.PIPE, stderr=log)
        line = self.process.stdout.readline()
        if not line.strip().isdigit():
            raise Fault(f"the OAuth server does not start: {tail(self.log)}")
        self.port = int(line)

    @contextlib.contextmanager
    def short_lived(self):
        self.post("/short-lived", "web-shop")
        yield "short-lived"


class Glewlwyd(Server):
    """Debian's glewlwyd with its OpenID Connect plugin, run from the unpacked package. Its access tokens are JWTs."""

    name = "glewlwyd"
    introspect, token_endpoint, revoke_endpoint = "/api/o/introspect", "/api/o/token", "/api/o/revoke"
    # It does not form-decode HTTP Basic, so names and secrets with special characters do not work.
    gateway_client, secret = "gate-way", "secret-of-{}"

    def __init__(self, folder, package):
        super().__init__(folder)
        self.package = package
        self.cookie = ""

    def start(self):
        is_new = not self.port
        if is_new:
            self.port = free_port()
            self.write_files()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.package / "usr/bin/glewlwyd", f"--config-file={self.folder / 'glewlwyd.conf'}"],
                stdout=log, stderr=log)
        wait_for_port(self.process, self.port, self.log)
        if is_new:
            self.sign_in()
            self.add_objects()

    @contextlib.contextmanager
    def short_lived(self):
        # The setting decides about tokens issued before, too: glewlwyd counts from the time of issue.
        self.change(self.plugin(token_seconds=4))
        yield self.token("web-shop", grant_type="client_credentials", scope="ledger.read")["access_token"]
        self.change(self.plugin())

    def write_files(self):
        schema = self.package / "usr/share/dbconfig-common/data/glewlwyd/install/sqlite3"
        database = sqlite3.connect(self.folder / "glewlwyd.sqlite")
        database.executescript(schema.read_text())
        database.close()
        none, modules = self.folder / "no-modules", self.package / "usr/lib/glewlwyd"
        none.mkdir()
        settings = {
            "port": self.port, "bind_address": "127.0.0.1", "external_url": f"https://127.0.0.1:{self.port}",
            "cookie_secure": 1, "log_mode": "console", "log_level": "ERROR", "hash_algorithm": "SHA512",
            "user_module_path": str(modules / "user"), "client_module_path": str(modules / "client"),
            "plugin_module_path": str(modules / "plugin"), "user_middleware_module_path": str(none),
            "user_auth_scheme_module_path": str(none), "use_secure_connection": True,
            "secure_connection_key_file": str(self.folder / "server.key"),
            "secure_connection_pem_file": str(self.folder / "server.pem")}
        lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
        lines.append(f'database = {{ type = "sqlite3" path = "{self.folder / "glewlwyd.sqlite"}" }};')
        (self.folder / "glewlwyd.conf").write_text("\n".join(lines) + "\n")
        self.openssl("genrsa", "-out", "tokens.key", "2048")
        self.openssl("rsa", "-in", "tokens.key", "-pubout", "-out", "tokens.pem")

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    # The administration

    def call(self, method, path, content):
        fields = {"Content-Type": "application/json", "Cookie": self.cookie}
        response, answer = self.request(method, f"/api/{path}", json.dumps(content), fields)
        if response.status != 200:
            raise Fault(f"{self.name}: {method} /api/{path}: {response.status} {answer}\n{tail(self.log)}")
        return response

    def sign_in(self):
        """As the administrator of the package's new database."""
        response = self.call("POST", "auth/", {"username": "admin", "password": "password"})
        self.cookie = response.headers["Set-Cookie"].split(";")[0]

    def change(self, plugin):
        self.call("PUT", "mod/plugin/o", plugin)
        self.call("PUT", "mod/plugin/o/reset", {})

    def plugin(self, token_seconds=600):
        return {"module": "oidc", "name": "o", "display_name": "OAuth", "parameters": {
            "iss": f"https://127.0.0.1:{self.port}", "jwt-type": "rsa", "jwt-key-size": "256",
            "key": (self.folder / "tokens.key").read_text(), "cert": (self.folder / "tokens.pem").read_text(),
            "code-duration": 600, "access-token-duration": token_seconds, "refresh-token-duration": 3600,
            "allow-non-oidc": True, "auth-type-client-enabled": True, "auth-type-password-enabled": True,
            "auth-type-code-enabled": False, "auth-type-implicit-enabled": False, "auth-type-refresh-enabled": True,
            "introspection-revocation-allowed": True, "introspection-revocation-allow-target-client": True,
            # Without a scope here, a client that uses HTTP Basic sees its own tokens only.
            "introspection-revocation-auth-scope": ["introspection"],
            "resource-allowed": True, "resource-client-property": "resource",
            "resource-scope-and-client-property": False,
            "resource-scope": {"ledger.read": ["https://ledger.example", "https://other.example"]}}}

    def add_objects(self):
        self.call("POST", "mod/plugin/", self.plugin())
        for scope in SCOPES:
            self.call("POST", "scope/", {"name": scope, "password_required": True, "scheme": {}})
        for client, grants in [("web-shop", ["client_credentials"]), ("web-app", ["password", "refresh_token"]),
                               (self.gateway_client, ["client_credentials"])]:
            self.call("POST", "client/", {
                "client_id": client, "client_secret": self.secret_of(client), "confidential": True, "enabled": True,
                "authorization_type": grants, "scope": SCOPES, "token_endpoint_auth_method": ["client_secret_basic"]})
        self.call("POST", "user/", {
            "username": "alice", "password": "alice of the tests", "enabled": True, "scope": SCOPES})
