"""The processes of Tests/introspection-servers: an OAuth server, the gateway, and a Core that counts requests."""

import base64
import http.client
import http.server
import json
import os
import re
import ssl
import subprocess
import threading
import time
import urllib.parse
from pathlib import Path

SERVER = Path(__file__).parent / "server.py"
PATIENCE = 30


class Fault(Exception):
    """A check does not hold, or something did not start."""


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

    def __init__(self, folder, python, program):
        self.folder, self.python, self.program = folder, python, program
        self.server = self.gateway = None
        self.server_port = 0
        self.core = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Core)
        self.core.count = self.core.leaks = 0
        self.core.daemon_threads = True

    def __enter__(self):
        try:
            self.make_certificate("server")
            self.make_certificate("other")
            threading.Thread(target=self.core.serve_forever, daemon=True).start()
            self.start_server()
            self.start_gateway()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.end(self.gateway)
        self.end(self.server)
        self.core.shutdown()

    @staticmethod
    def end(process):
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def make_certificate(self, name):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", self.folder / f"{name}.key",
             "-out", self.folder / f"{name}.pem"], check=True, capture_output=True)

    # The OAuth server

    def start_server(self):
        with (self.folder / "server.log").open("ab") as log:
            self.server = subprocess.Popen(
                [self.python, "-B", SERVER, self.folder, str(self.server_port)], stdout=subprocess.PIPE, stderr=log)
        line = self.server.stdout.readline()
        if not line.strip().isdigit():
            raise Fault(f"the OAuth server does not start: {(self.folder / 'server.log').read_text()[-2000:]}")
        self.server_port = int(line)

    def stop_server(self):
        self.end(self.server)

    def post(self, path, client, **form):
        """A form to the OAuth server, as one of its clients; returns the status and the JSON."""
        context = ssl.create_default_context(cafile=str(self.folder / "server.pem"))
        connection = http.client.HTTPSConnection("127.0.0.1", self.server_port, context=context, timeout=PATIENCE)
        name, secret = (urllib.parse.quote_plus(text) for text in (client, f"secret:of {client}"))
        fields = {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode(),
                  "Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", path, urllib.parse.urlencode(form), fields)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response.status, json.loads(body) if body else {}

    def token(self, client, **form):
        status, answer = self.post("/o/token/", client, **form)
        if status != 200:
            raise Fault(f"the OAuth server gave no token: {status} {answer}")
        return answer

    # The gateway

    def write_policy(self, **changes):
        policies = self.folder / "policies"
        policies.mkdir(exist_ok=True)
        files = {
            "gateway.json": {
                "listen": "127.0.0.1:0", "admin": None, "loops": 1, "watch": False, "access_log": "access.log",
                "introspection": {"corp": {
                    "url": f"https://127.0.0.1:{self.server_port}/o/introspect/", "client_id": "gate way",
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
        return {**os.environ, "CORE_KEY": "core-key", "INTROSPECTION_SECRET": "secret:of gate way"}

    def start_gateway(self, **changes):
        self.end(self.gateway)
        self.write_policy(**changes)
        state = self.folder / "state"
        state.mkdir(exist_ok=True)
        log = self.folder / "gateway.log"
        with log.open("wb") as out:
            self.gateway = subprocess.Popen(
                [self.program, "serve", "--policies", self.folder / "policies", "--state", state],
                stdout=subprocess.DEVNULL, stderr=out, env=self.environment)
        end = time.monotonic() + PATIENCE
        while not (found := re.search(r"listening on 127\.0\.0\.1:([0-9]+)", log.read_text())):
            if self.gateway.poll() is not None or time.monotonic() > end:
                raise Fault(f"the gateway does not start: {log.read_text()}")
            time.sleep(0.05)
        self.port = int(found[1])

    def command(self, *arguments, text=""):
        """Runs a command of the gateway on its policy folder."""
        return subprocess.run(
            [self.program, *arguments, "--policies", self.folder / "policies"], input=text, capture_output=True,
            text=True, env=self.environment, timeout=PATIENCE)

    def ask(self, token, method="GET"):
        """One request with a token; returns the status, the gateway's code and the headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request(
            method, "/proxy/balances?instance_id=one", "{}" if method == "POST" else None,
            {"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        found = re.search(r'"code":"([A-Z_]+)"', response.read().decode())
        connection.close()
        return response.status, found[1] if found else None, response.headers

    def errors(self):
        log = self.folder / "gateway.log"
        return log.read_text()[-2000:] if log.exists() else ""
