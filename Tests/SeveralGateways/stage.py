"""Two gateways behind HAProxy, with a configuration of deploy/several, and a Core that counts what it executes."""

import contextlib
import http.client
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
TOKEN = "blnk_at_rolling"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Core(ThreadingHTTPServer):
    """Counts how often each body arrives, and answers with it."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, delay=0):
        self.executed, self.lock, self.delay = {}, threading.Lock(), delay
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        """A killed gateway closes its connections."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.executed[body] = self.server.executed.get(body, 0) + 1
        time.sleep(self.server.delay)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Gateway:
    def __init__(self, program, folder, core_port, digest, settings):
        self.program, self.folder, self.port = program, folder, free_port()
        folder.mkdir()
        (folder / "core.key").write_text("key")
        write = lambda name, value: (folder / name).write_text(json.dumps(value))
        instance = {"url": f"http://127.0.0.1:{core_port}", "key": {"file": "core.key"}}
        write("instances.json", {"instances": {"one": instance}})
        client = {"scopes": ["*"], "instances": ["one"], "tokens": [{"sha256": digest}], "default_instance": "one"}
        write("clients.json", {"clients": {"app": client}})
        write("gateway.json", {
            "listen": {"address": f"127.0.0.1:{self.port}", "trusts": "forwarded"}, "trusted_proxies": ["127.0.0.1"],
            "health_on_listen": True, "timeouts": {"drain_delay_s": 5}, "admin": None, "access_log": None, **settings,
        })

    def start(self):
        self.log = open(self.folder / "stderr", "ab")
        state = self.folder.with_name(f"{self.folder.name}-state")
        state.mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            [self.program, "serve", "--policies", self.folder, "--state", state],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        wait_for(self.is_ready, f"the gateway on port {self.port}")

    def is_ready(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def stop(self, number):
        self.process.send_signal(number)
        return self.process.wait(timeout=90)


def wait_for(condition, what):
    end = time.monotonic() + 30
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"fault: {what} is not ready after 30 s")
        time.sleep(0.05)


@contextlib.contextmanager
def gateways_behind_haproxy(program, configuration, core, settings):
    """Yields both gateways and HAProxy's port; stops all of them at the end."""
    digest = subprocess.run(
        [program, "token", "hash"], input=TOKEN, text=True, capture_output=True, check=True).stdout.strip()
    with tempfile.TemporaryDirectory() as name:
        folder, front = Path(name), None
        gateways = [
            Gateway(program, folder / f"gateway-{index}", core.server_port, digest, settings) for index in range(2)]
        port = free_port()
        config = (TOP / configuration).read_text()
        for old, new in [
            ("bind 10.0.0.1:80", f"bind 127.0.0.1:{port}"), ("10.0.0.2:8080", f"127.0.0.1:{gateways[0].port}"),
            ("10.0.0.3:8080", f"127.0.0.1:{gateways[1].port}"), ("maxconn 10000", "maxconn 500"),
        ]:
            if old not in config:
                sys.exit(f"fault: {configuration} does not contain {old!r}")
            config = config.replace(old, new)
        (folder / "haproxy.cfg").write_text(config)
        try:
            for gateway in gateways:
                gateway.start()
            front = subprocess.Popen(["haproxy", "-db", "-f", folder / "haproxy.cfg"], stdin=subprocess.DEVNULL)
            # Until its first checks.
            time.sleep(2)
            yield gateways, port
        finally:
            for process in [front] + [gateway.process for gateway in gateways if hasattr(gateway, "process")]:
                if process and process.poll() is None:
                    process.terminate()
                    process.wait(timeout=90)
