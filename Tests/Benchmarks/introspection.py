"""An introspection endpoint (RFC 7662) that knows one opaque token for each client, and counts what it is asked."""

import contextlib
import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import policies
from data import digest, write_lines

PREFIX, AUDIENCE = "opaque_", "ledger-gateway"
# The longest that the gateway accepts.
CACHE_SECONDS = 300


@dataclass(frozen=True)
class Provider:
    settings: dict
    targets: Path  # as in data.py: the same clients and instances, but with this provider's tokens
    tokens: int  # how many differ in `targets`
    server: ThreadingHTTPServer

    @property
    def questions(self):
        return self.server.questions


class Endpoint(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body leave in one packet, so that neither waits for an acknowledgement.
    wbufsize = 4096

    def do_POST(self):
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        with self.server.lock:
            self.server.questions += 1
        client = self.server.clients.get(form["token"][0])
        answer = {"active": False}
        if client:
            answer = {"active": True, "client_id": client, "aud": AUDIENCE, "scope": "ledger.read ledger.write"}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


@contextlib.contextmanager
def provider(folder, data):
    folder.mkdir()
    secret = folder / "client.secret"
    policies.write_private(secret, digest("client secret"))
    tokens = {client.token: PREFIX + digest(f"opaque token of {client.name}")[:43] for client in data.clients}
    lines = [(tokens[token], instance) for token, instance in map(str.split, data.targets.read_text().splitlines())]
    targets = folder / "targets.txt"
    write_lines(targets, lines)
    with Server(("127.0.0.1", 0), Endpoint) as server:
        server.clients = {tokens[client.token]: client.name for client in data.clients}
        server.lock, server.questions = threading.Lock(), 0
        settings = {
            "introspection": {
                "benchmark": {
                    "url": f"http://127.0.0.1:{server.server_port}/introspect",
                    "client_id": AUDIENCE,
                    "client_secret": {"file": str(secret)},
                    "prefixes": [PREFIX],
                    "audience": AUDIENCE,
                    "scopes": {"ledger.read": ["proxy:read"], "ledger.write": ["proxy:write"]},
                    "clients": {"by_client_id": {client.name: client.name for client in data.clients}},
                    "cache_s": CACHE_SECONDS,
                }
            }
        }
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Provider(settings, targets, len({token for token, _ in lines}), server)
        finally:
            server.shutdown()
            thread.join()
