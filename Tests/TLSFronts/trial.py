"""One front with its gateway, and requests through it."""

import contextlib
import hashlib
import json
import re
import socket
import subprocess
from pathlib import Path

from clients import HOST, Response
from faults import require, until
from setup import free_port

TOP = Path(__file__).resolve().parents[2]


class Trial:
    """One front, and what its checks need."""

    def __init__(self, front, setup):
        self.front, self.setup = front, setup
        self.folder = setup.folder / front.name
        self.folder.mkdir()
        self.text = (TOP / "deploy/tls" / front.config).read_text()
        self.listener = self.shown_listener()
        self.tag_count = 0
        self.gateway = self.start_gateway()
        self.port = self.start_front("front", "proxy.sock")

    def shown_listener(self):
        """The listener in the head comment."""
        shown = re.search(r"^#\s+(\{ \"listen\":.*?\} \})$", self.text, re.MULTILINE | re.DOTALL)
        require(shown, f"{self.front.config} shows no listener in its head comment")
        listener = json.loads(re.sub(r"\n#", "\n", shown[1]))["listen"]
        require(listener["address"] == "unix:/run/blnk-gateway/proxy.sock", "the listener has another address")
        return listener | {"address": f"unix:{self.folder}/proxy.sock", "group": self.setup.group}

    @property
    def reports_certificates(self):
        return "certificate_header" in self.listener

    def start_gateway(self):
        policies = self.folder / "policies"
        policies.mkdir(exist_ok=True)
        key = {"file": str(self.setup.folder / "core.key")}
        clients = {
            name: {"scopes": ["*"], "instances": ["sandbox", "recording"], "tokens": [{"sha256": sha256(token)}]}
            for name, token in self.setup.tokens.items()
            if name != "bound" or self.reports_certificates
        }
        clients["near"]["networks"] = ["127.0.0.2/32"]
        if self.reports_certificates:
            clients["bound"]["certificates"] = [self.setup.digest]
        files = {
            "gateway": {"listen": self.listener, "admin": "127.0.0.1:0", "access_log": "access.log", "watch": False},
            "instances": {
                "instances": {
                    "sandbox": {"url": f"http://127.0.0.1:{self.setup.sandbox_port}", "key": key},
                    "recording": {"url": f"http://127.0.0.1:{self.setup.core.port}", "key": key},
                }
            },
            "clients": {"clients": clients},
        }
        for name, content in files.items():
            (policies / f"{name}.json").write_text(json.dumps(content))
        arguments = ("serve", "--policies", policies, "--state", self.folder)
        process, log = self.setup.start(f"{self.front.name}-gateway", self.setup.gateway, *arguments)
        until(lambda: accepts(self.folder / "proxy.sock"), 10, lambda: f"the gateway does not start:\n{log.read_text()}")
        return process

    def start_front(self, name, socket_name):
        port = free_port()
        folder = self.folder / name
        folder.mkdir()
        temporary = "".join(
            f"\n  {kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        places = {
            "user": f" user {self.setup.user}",
            "group": f" group {self.setup.group}",
            "log": "stderr",
            # Without root, the limit on descriptors is too low for 10000.
            "maxconn": "  maxconn 400\n",
            "address": f"127.0.0.1:{port}",
            "bundle": f"{self.setup.folder}/bundle.pem",
            "certificate": f"{self.setup.folder}/server.pem",
            "key": f"{self.setup.folder}/server.key",
            "ca": f"{self.setup.folder}/ca.pem",
            "socket": f"{self.folder}/{socket_name}",
            "writes": f"{folder}/writes.sock",
            "nginx_user": f"user {self.setup.user};",
            "nginx_http": f"http {{{temporary}",
            "nginx_listen": f"listen 127.0.0.1:{port}",
            "pid": f"{folder}/pid",
            "errors": "stderr",
            "caddy_site": f":{port} {{\n\tbind 127.0.0.1",
        }
        text = re.sub(r"^#.*\n", "", self.text, flags=re.MULTILINE)
        for old, place in self.front.replacements.items():
            require(old in text, f"{self.front.config} does not have {old!r}")
            text = text.replace(old, places[place])
        config = folder / self.front.config
        config.write_text(text)
        command = [word.replace("CONFIG", str(config)).replace("FOLDER", str(folder)) for word in self.front.command]
        process, log = self.setup.start(f"{self.front.name}-{name}", *command)

        def listens():
            require(process.poll() is None, f"{self.front.name} ended:\n{log.read_text()}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return True

        until(listens, 10, lambda: f"{self.front.name} does not listen:\n{log.read_text()}")
        return port

    # Requests.

    def tag(self):
        self.tag_count += 1
        return f"{self.front.name}-{self.tag_count}"

    def versions(self):
        return ("2", "1.1") if self.front.h2 else ("1.1",)

    def curl(self, path, *arguments, version="1.1", client="app", source="127.0.0.1", port=None):
        port = port or self.port
        body, head = self.folder / "curl.body", self.folder / "curl.head"
        body.write_bytes(b"")
        command = ["-sS", "--max-time", "20", "--cacert", self.setup.folder / "ca.pem"]
        command += [f"--http{version}", "--interface", source, "--resolve", f"{HOST}:{port}:127.0.0.1"]
        command += ["-H", f"Authorization: Bearer {self.setup.tokens[client]}", "-o", body, "-D", head]
        command += ["-w", "%{http_code} %{http_version}", *arguments, f"https://{HOST}:{port}{path}"]
        done = self.run_curl(*command)
        status, got_version = (done.stdout.split() + ["000", "0"])[:2]
        if status == "000":
            return Response(None, [], done.stderr.encode())
        fields = [tuple(part.strip() for part in line.partition(":")[::2]) for line in head.read_text().splitlines()]
        return Response(int(status), fields, body.read_bytes(), got_version)

    def run_curl(self, *arguments):
        command = ["curl", "--noproxy", "*", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=30)

    def expect(self, status, path, *arguments, code=None, **options):
        response = self.curl(path, *arguments, **options)
        what = f"{' '.join(map(str, arguments))} {path} {options}"
        require(response.status == status, f"{what}: {response.status} instead of {status}: {response.body[:300]!r}")
        require(code is None or response.code() == code, f"{what}: {response.body[:300]!r} instead of {code}")
        if version := options.get("version"):
            require(response.version == version, f"{what}: HTTP/{response.version} instead of HTTP/{version}")
        return response

    def raw_head(self, method, target, *fields, client="app"):
        lines = (f"{method} {target} HTTP/1.1", f"Host: {HOST}", f"Authorization: Bearer {self.setup.tokens[client]}", *fields)
        return "".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"\r\n"

    def log_line(self, request_id):
        def found():
            for line in (self.folder / "access.log").read_text().splitlines():
                if f'"request_id":"{request_id}"' in line:
                    return json.loads(line)

        return until(found, 5, f"the access log has no request {request_id}")


def accepts(path):
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(path))
        return True
    return False


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()
