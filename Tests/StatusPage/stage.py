"""A gateway with a sandbox Core, an instance that is down, and an admin token."""

import base64
import contextlib
import hashlib
import json
import re
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ADMIN_TOKEN = "admin-token-of-tests"
TOKEN = "blnk_at_" + "0" * 49
PATIENCE = 20


class Fault(Exception):
    """Something does not hold."""


def require(holds, what):
    if not holds:
        raise Fault(what)


def eventually(condition, what, seconds=PATIENCE):
    """Polls until the condition holds; returns its value."""
    end = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        require(time.monotonic() < end, f"{what}: not within {seconds} s")
        time.sleep(0.05)


class Stage:
    """What all checks share, until `stack` ends it."""

    def __init__(self, folder, gateway, stack):
        self.folder, self.gateway, self.stack = folder, gateway, stack
        self.policies = folder / "policies"
        self.policies.mkdir()
        for name, text in ("core.key", "key"), ("admin.token", ADMIN_TOKEN):
            (folder / name).write_text(text + "\n")
            (folder / name).chmod(0o600)
        _, log = self.start("sandbox", "sandbox", "--listen", "127.0.0.1:0", "--key-file", folder / "core.key")
        core = self.port(log, r"listening on 127\.0\.0\.1:(\d+)")
        # The gateway that takes over after an upgrade needs the same ports.
        self.ports = [free_port(), free_port()]
        self.write("gateway.json", {
            "listen": f"127.0.0.1:{self.ports[0]}", "access_log": "access.log", "audit_log": "audit.log", "loops": 2,
            "metrics": {"by_client": True},
            "admin": {"address": f"127.0.0.1:{self.ports[1]}", "token": {"file": str(folder / "admin.token")}},
        })  # fmt: skip
        key = {"key": {"file": str(folder / "core.key")}}
        self.instances = {
            "main": {"url": f"http://127.0.0.1:{core}", **key}, "down": {"url": "http://127.0.0.1:9", **key},
            "calm": {"url": f"http://127.0.0.1:{core}", **key, "writes": False},
        }  # fmt: skip
        self.write_instances(self.instances)
        self.write("clients.json", {
            "clients": {
                "app": {
                    "name": "<img src=x onerror=alert(1)>", "scopes": ["proxy:read"], "instances": ["*"],
                    "tokens": [{"sha256": hashlib.sha256(TOKEN.encode()).hexdigest()}],
                }
            }
        })  # fmt: skip
        self.serve()

    def write(self, name, value):
        (self.policies / name).write_text(json.dumps(value))

    def write_instances(self, instances):
        self.write("instances.json", {"instances": instances})

    def serve(self):
        self.process, log = self.start("serve", "serve", "--policies", self.policies, "--state", self.folder)
        self.port(log, r"admin endpoint on 127\.0\.0\.1:(\d+)")
        self.log = log

    def start(self, name, *command):
        """Starts the program; returns its process and its log."""
        log = self.folder / f"{name}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [self.gateway, *map(str, command)], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True)  # fmt: skip
        self.stack.callback(stop, process)
        return process, log

    def port(self, log, pattern):
        return int(eventually(lambda: re.search(pattern, log.read_text()), f"{log.name}: {pattern}")[1])

    def call(self, path, token=TOKEN, method="GET"):
        """Calls the gateway as a client; returns the status."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.ports[0]}{path}", headers={"Authorization": f"Bearer {token}"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                return response.status
        except urllib.error.HTTPError as fault:
            return fault.code

    def page(self):
        """The page as the gateway sends it."""
        with self.admin("/") as response:
            return response.read().decode()

    def event(self):
        """The JSON of the first event that a new viewer gets."""
        with self.admin("/events") as response:
            return next(line[6:] for line in response if line.startswith(b"data: ")).decode()

    def admin(self, path):
        password = base64.b64encode(f"operator:{ADMIN_TOKEN}".encode()).decode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.ports[1]}{path}", headers={"Authorization": f"Basic {password}"})
        return urllib.request.urlopen(request, timeout=PATIENCE)

    @property
    def page_url(self):
        return f"http://operator:{ADMIN_TOKEN}@127.0.0.1:{self.ports[1]}/"

    def upgrade(self):
        """Replaces the gateway's process; returns when the older one has ended."""
        older = self.process
        older.send_signal(signal.SIGUSR2)
        found = eventually(lambda: re.search(r"upgrade: process (\d+) serves", self.log.read_text()), "an upgrade")
        successor = int(found[1])
        self.stack.callback(kill, successor)
        eventually(lambda: older.poll() is not None, "the end of the older process")
        return successor


def free_port():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def kill(process):
    import os

    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def stop(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def run(checks, gateway):
    """Runs all checks against one gateway; ends with exit code 1 and the cause at the first fault."""
    # Leaves the "with" below, which stops the processes.
    import sys

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        stage = Stage(Path(folder), Path(gateway).resolve(), stack)
        for check in checks:
            start = time.monotonic()
            try:
                check(stage)
            except Exception as fault:
                log = (Path(folder) / "serve.log").read_text()
                sys.exit(f"error: does not hold: {check.__doc__}: {type(fault).__name__}: {fault}\n{log[-3000:]}")
            print(f"{' '.join(check.__doc__.split())} ({time.monotonic() - start:.1f} s)", flush=True)
