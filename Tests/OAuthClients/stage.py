"""A gateway with a token endpoint behind a TLS front, its sandbox Core, and the operator's part of a code grant."""

import contextlib
import hashlib
import json
import os
import re
import secrets
import signal
import socket
import ssl
import subprocess
import threading
import time
from urllib.parse import parse_qs, urlencode, urlsplit

import signed

CALLBACK = "https://app.example/callback"
KEY_NAME = "2026"


class Fault(Exception):
    """Something does not hold."""


def require(holds, what):
    if not holds:
        raise Fault(what)


class Stage:
    """What all checks share, until `stack` ends it."""

    def __init__(self, folder, gateway, stack):
        self.folder, self.gateway, self.stack = folder, gateway, stack
        self.secret, self.key = secrets.token_urlsafe(32), secrets.token_hex(32)
        self.client = "app"
        self.make_certificates()
        front = TLSFront(folder)
        stack.callback(front.close)
        self.issuer = f"https://localhost:{front.port}"
        (folder / "core.key").write_text("key\n")
        _, core = self.start("sandbox", "sandbox", "--listen", "127.0.0.1:0", "--key-file", folder / "core.key")
        self.write_policies(core)
        self.process, self.port = self.start("serve", "serve", "--policies", folder / "policies", "--state", folder)
        front.target = self.port
        # The libraries check certificates as they would against any other server.
        os.environ["REQUESTS_CA_BUNDLE"] = str(folder / "ca.pem")

    def make_certificates(self):
        key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -x509".split()
        ca = "-CA ca.pem -CAkey ca.key -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE"
        for name, more in ("ca", []), ("localhost", ca.split()):
            command = ["openssl", "req", *key, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}"]
            done = subprocess.run([*command, *more], cwd=self.folder, capture_output=True, text=True, timeout=30)
            require(done.returncode == 0, f"openssl: {done.stderr}")

    def write_policies(self, core):
        self.policies = self.folder / "policies"
        self.policies.mkdir()
        (self.folder / "signing.key").write_text(self.key)
        secret = hashlib.sha256(self.secret.encode()).hexdigest()
        files = {
            "gateway.json": {
                "listen": "127.0.0.1:0", "admin": None, "access_log": None, "loops": 1, "watch": False,
                "oauth": {
                    "issuer": self.issuer, "keys": [{"id": KEY_NAME, "file": str(self.folder / "signing.key")}],
                    "revocations": str(self.folder / "revocations"),
                },
            },
            "instances.json": {
                "instances": {
                    "one": {"url": f"http://127.0.0.1:{core}", "key": {"file": str(self.folder / "core.key")}}
                }
            },
            "clients.json": {
                "clients": {
                    self.client: {
                        "scopes": ["proxy:read", "proxy:write"], "instances": ["one"],
                        "oauth": {"secrets": [{"sha256": secret}], "redirect_uris": [CALLBACK]},
                    }
                }
            },
        }  # fmt: skip
        for key in self.folder.glob("*.key"):
            key.chmod(0o600)
        for name, value in files.items():
            (self.policies / name).write_text(json.dumps(value))

    def start(self, name, *command):
        """Starts the program; returns its process and the port that it listens on."""
        log = self.folder / f"{name}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [self.gateway, *map(str, command)], stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self.stack.callback(stop, process)
        for _ in range(200):
            if port := re.search(r"listening on 127\.0\.0\.1:(\d+)", log.read_text()):
                return process, int(port[1])
            time.sleep(0.05)
        raise Fault(f"{name} does not start: {log.read_text()}")

    def core(self):
        return f"{self.issuer}/proxy/balances?instance_id=one"

    @property
    def has_code_command(self):
        done = subprocess.run([self.gateway, "oauth", "code", "--help"], capture_output=True, timeout=10)
        return done.returncode == 0

    def log_in(self, authorize_url):
        """Does what the operator does with the address that an app opens; returns where the browser goes next."""
        if self.has_code_command:
            command = ["oauth", "code", "--policies", self.policies, "--client", self.client]
            done = subprocess.run(
                [self.gateway, *map(str, command), "--authorize-url", authorize_url],
                capture_output=True, text=True, timeout=10)  # fmt: skip
            require(done.returncode == 0, f"oauth code: {done.stderr}")
            return done.stdout.strip()
        query = {name: values[0] for name, values in parse_qs(urlsplit(authorize_url).query).items()}
        require(query["response_type"] == "code" and query["redirect_uri"] == CALLBACK, f"{authorize_url}: not a code")
        require(query.get("code_challenge_method") == "S256", f"{authorize_url}: without S256")
        code = signed.signed(
            signed.CODE, key=self.key, key_name=KEY_NAME, issuer=self.issuer, client=query["client_id"],
            scope=query["scope"], lifetime=60, redirect_uri=query["redirect_uri"],
            challenge=query["code_challenge"])  # fmt: skip
        return CALLBACK + "?" + urlencode({"code": code, "state": query["state"], "iss": self.issuer})


class TLSFront:
    """Ends TLS and passes the bytes on."""

    def __init__(self, folder):
        self.target = None
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / "localhost.pem", folder / "localhost.key")
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listening.accept()
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError), self.context.wrap_socket(connection, server_side=True) as client:
            client.settimeout(60)
            with socket.create_connection(("127.0.0.1", self.target), timeout=60) as gateway:
                back = threading.Thread(target=pump, args=(gateway, client), daemon=True)
                back.start()
                pump(client, gateway)
                back.join(60)

    def close(self):
        self.listening.close()


def pump(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def stop(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
