"""What the gateway in the container talks to: Cores, a TLS server, a name server; and a client of the gateway."""

import http.client
import json
import socket
import struct
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from faults import require, until

GATEWAY = ("127.0.0.1", 8080)
SANDBOX_PORT, SLOW_PORT, TLS_PORT = 5001, 5002, 5443


def call(instance, token, path="/proxy/ledgers", method="GET", body=None, seconds=30):
    """The status and the body of the gateway's response."""
    connection = http.client.HTTPConnection(*GATEWAY, timeout=seconds)
    try:
        connection.request(method, f"{path}?instance_id={instance}", body, {"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


class SlowCore(ThreadingHTTPServer):
    """Answers after `seconds`."""

    daemon_threads = True

    def __init__(self):
        self.seconds, self.received = 1.5, threading.Semaphore(0)
        super().__init__(("127.0.0.1", SLOW_PORT), SlowHandler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class SlowHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.received.release()
        time.sleep(self.server.seconds)
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"slow")

    def log_message(self, *_):
        pass


class NameServer(threading.Thread):
    """Knows one name, with the address 127.0.0.1; no other name exists."""

    def __init__(self, name):
        super().__init__(daemon=True)
        self.question = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"
        self.answered = 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        self.start()

    def run(self):
        while True:
            query, peer = self.socket.recvfrom(512)
            end = query.index(b"\0", 12) + 5
            kind = struct.unpack("!H", query[end - 4 : end - 2])[0]
            is_known = query[12 : end - 4].lower() == self.question
            answers = b""
            if is_known and kind == 1:
                self.answered += 1
                answers = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 1, 4) + socket.inet_aton("127.0.0.1")
            flags = 0x8180 if is_known else 0x8183
            head = query[:2] + struct.pack("!HHHHH", flags, 1, 1 if answers else 0, 0, 0)
            self.socket.sendto(head + query[12:end] + answers, peer)


def make_certificates(folder, host):
    for arguments in (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout ca.key -out ca.pem -subj /CN=Test",
        f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -CA ca.pem -CAkey ca.key -keyout server.key "
        f"-out server.pem -subj /CN={host} -addext subjectAltName=DNS:{host} -addext basicConstraints=critical,CA:FALSE",
    ):
        done = subprocess.run(["openssl", *arguments.split()], capture_output=True, text=True, cwd=folder, timeout=30)
        require(done.returncode == 0, f"openssl: {done.stderr}")


def start_nginx(folder, stack):
    """A TLS server in front of the sandbox Core."""
    (folder / "nginx.conf").write_text(f"""
        daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr;
        events {{}}
        http {{
          access_log off;
          client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
          uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
          server {{
            listen 127.0.0.1:{TLS_PORT} ssl;
            ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;
            location / {{ proxy_pass http://127.0.0.1:{SANDBOX_PORT}; }}
          }}
        }}""")
    start(folder / "nginx.log", stack, "nginx", "-c", folder / "nginx.conf", "-p", folder)
    until(lambda: accepts(TLS_PORT), 10, lambda: f"nginx does not start: {(folder / 'nginx.log').read_text()}")


def start_sandbox(gateway, folder, key_file, stack):
    log = folder / "sandbox.log"
    start(log, stack, gateway, "sandbox", "--listen", f"127.0.0.1:{SANDBOX_PORT}", "--key-file", key_file)
    until(lambda: accepts(SANDBOX_PORT), 10, lambda: f"the sandbox Core does not start: {log.read_text()}")


def start(log, stack, *command):
    with log.open("w") as output:
        process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def stop():
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    stack.callback(stop)
    return process


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def write_policies(folder, digest):
    """A policy folder that the container's user can read."""
    folder.mkdir()
    key = {"file": "/run/secrets/core-key"}
    host = f"https://core.internal:{TLS_PORT}"
    instances = {
        "address": {"url": f"http://127.0.0.1:{SANDBOX_PORT}"}, "hosts-file": {"url": f"http://core.internal:{SANDBOX_PORT}"},
        "name-server": {"url": f"http://core.named.test:{SANDBOX_PORT}"}, "slow": {"url": f"http://127.0.0.1:{SLOW_PORT}"},
        "own-authority": {"url": host, "tls": {"ca_file": "ca.pem"}}, "system-authorities": {"url": host},
    }  # fmt: skip
    client = {"scopes": ["*"], "instances": ["*"], "tokens": [{"sha256": digest}]}
    for name, content in {
        "gateway.json": {
            "listen": "0.0.0.0:8080", "access_log": "-", "audit_log": "audit.log",
            "audit_key": {"file": "/run/secrets/audit-key"},
        },
        "instances.json": {"instances": {name: {**one, "key": key} for name, one in instances.items()}},
        "clients.json": {"clients": {"app": client}},
    }.items():  # fmt: skip
        (folder / name).write_text(json.dumps(content))
    (folder / "routes.json").write_text(json.dumps({"routes": {
        "/proxy/ledgers": {
            "GET": {"scope": "proxy:read", "operation": "ledgers.list"},
            "POST": {"scope": "proxy:write", "operation": "ledgers.create"},
        }}}))  # fmt: skip
