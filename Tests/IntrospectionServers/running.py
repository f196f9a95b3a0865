"""The processes of Tests/introspection-servers: an OAuth server, the gateway, and a Core that counts requests."""

import http.client
import http.server
import json
import os
import re
import subprocess
import threading
import time

from process import end
from servers import SECONDS_MAX, Fault


class Core(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        self.server.count += 1
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if any("Authorization" == name for name in self.headers):
            self.server.leaks += 1
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


class Stage:
    """Everything that runs; ends with the `with` statement."""

    def __init__(self, folder, server, program):
        self.folder, self.server, self.program = folder, server, program
        self.gateway = None
        self.core = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Core)
        self.core.count = self.core.leaks = 0
        self.core.daemon_threads = True

    def __enter__(self):
        try:
            threading.Thread(target=self.core.serve_forever, daemon=True).start()
            self.make_certificate("server")
            self.make_certificate("other")
            self.server.start()
            self.start_gateway()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop_gateway()
        self.server.stop()
        self.core.shutdown()

    def make_certificate(self, name):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", self.folder / f"{name}.key",
             "-out", self.folder / f"{name}.pem"], check=True, capture_output=True)

    # The gateway

    def write_policy(self, **changes):
        policies = self.folder / "policies"
        policies.mkdir(exist_ok=True)
        files = {
            "gateway.json": {
                "listen": "127.0.0.1:0", "admin": None, "loops": 1, "watch": False, "access_log": "access.log",
                "introspection": {self.server.name: {
                    "url": f"https://127.0.0.1:{self.server.port}{self.server.introspect}",
                    "client_id": self.server.gateway_client,
                    "client_secret": {"env": "INTROSPECTION_SECRET"}, "default": True, "audience": None,
                    "scopes": {"ledger.read": ["proxy:read"], "ledger.write": ["proxy:write"]},
                    "clients": {"by_client_id": {"web-shop": "shop", "web-app": "shop"}}, "cache_s": 3,
                    "tls": {"ca_file": str(self.folder / "server.pem")}, **changes}}},
            "instances.json": {"instances": {"one": {
                "url": f"http://127.0.0.1:{self.core.server_address[1]}", "key": {"env": "CORE_KEY"}}}},
            "clients.json": {"clients": {"shop": {"scopes": ["*"], "instances": ["one"], "tokens": []}}},
        }
        for name, content in files.items():
            (policies / name).write_text(json.dumps(content))

    @property
    def environment(self):
        secret = self.server.secret_of(self.server.gateway_client)
        return {**os.environ, "CORE_KEY": "core-key", "INTROSPECTION_SECRET": secret}

    def stop_gateway(self):
        if self.gateway is not None:
            end(self.gateway)

    def start_gateway(self, **changes):
        self.stop_gateway()
        self.write_policy(**changes)
        state = self.folder / "state"
        state.mkdir(exist_ok=True)
        before = len(self.log)
        with (self.folder / "gateway.log").open("ab") as log:
            self.gateway = subprocess.Popen(
                [self.program, "serve", "--policies", self.folder / "policies", "--state", state],
                stdout=subprocess.DEVNULL, stderr=log, env=self.environment)
        deadline = time.monotonic() + SECONDS_MAX
        while not (found := re.search(r"listening on 127\.0\.0\.1:([0-9]+)", self.log[before:])):
            if self.gateway.poll() is not None or time.monotonic() > deadline:
                raise Fault(f"the gateway does not start: {self.log[before:]}")
            time.sleep(0.05)
        self.port = int(found[1])

    def command(self, *arguments, text=""):
        """Runs a command of the gateway on its policy folder."""
        return subprocess.run(
            [self.program, *arguments, "--policies", self.folder / "policies"], input=text, capture_output=True,
            text=True, env=self.environment, timeout=SECONDS_MAX)

    def ask(self, token, method="GET"):
        """One request with a token; returns the status, the gateway's code and the headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS_MAX)
        connection.request(
            method, "/proxy/balances?instance_id=one", "{}" if method == "POST" else None,
            {"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        found = re.search(r'"code":"([A-Z_]+)"', response.read().decode())
        connection.close()
        return response.status, found[1] if found else None, response.headers

    @property
    def log(self):
        """What the gateway has printed since the first start."""
        log = self.folder / "gateway.log"
        return log.read_text() if log.exists() else ""
