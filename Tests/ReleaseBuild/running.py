"""A gateway in a separate process: as another user, with or without /proc."""

import http.client
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "blnk_at_release"
# A user and a group that own no files on Linux systems.
USER = 65534
SECONDS_MAX = 30
# Runs the arguments with an empty folder in place of /proc.
WITHOUT_PROC = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                'mount -t tmpfs -o ro,size=4k none /proc && exec "$@"', "sh"]
AS_USER = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]


class Fault(Exception):
    """One line that says what does not hold."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(condition, what):
    end = time.monotonic() + SECONDS_MAX
    while not (result := condition()):
        if time.monotonic() > end:
            raise Fault(f"after {SECONDS_MAX} s not true: {what}")
        time.sleep(0.05)
    return result


class Core(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), CoreHandler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class CoreHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"null")

    def log_message(self, *_):
        pass


class Gateway:
    """`blnk-gateway serve` as another user, whose program is found in $PATH."""

    def __init__(self, folder, program, core, has_proc):
        self.folder, self.has_proc = folder, has_proc
        self.port, self.admin_port = free_port(), free_port()
        bin_folder, self.policies = folder / "bin", folder / "policies"
        bin_folder.mkdir(parents=True)
        self.policies.mkdir()
        shutil.copy(program, bin_folder / "blnk-gateway")
        digest = subprocess.run(
            [program, "token", "hash"], input=TOKEN, text=True, capture_output=True, check=True, timeout=SECONDS_MAX
        ).stdout.strip()
        (self.policies / "core.key").write_text("key")
        instance = {"url": f"http://127.0.0.1:{core.server_port}", "key": {"file": "core.key"}}
        self.write("instances.json", {"instances": {"one": instance}})
        client = {"scopes": ["*"], "instances": ["one"], "tokens": [{"sha256": digest}], "default_instance": "one"}
        self.write("clients.json", {"clients": {"app": client}})
        self.write("gateway.json", {
            "listen": f"127.0.0.1:{self.port}", "admin": f"127.0.0.1:{self.admin_port}", "access_log": None})
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, USER, USER)
        self.errors = folder / "errors"
        with open(self.errors, "wb") as errors:
            # The first process is the child; those that replace it are not.
            self.process = subprocess.Popen(
                [*([] if has_proc else WITHOUT_PROC), *AS_USER, "blnk-gateway", "serve", "--policies", self.policies],
                env={"PATH": f"{bin_folder}:{os.environ['PATH']}"}, cwd=folder, stdin=subprocess.DEVNULL,
                stdout=errors, stderr=errors, preexec_fn=allow_core_files)
        self.identifiers = [self.process.pid]

    def write(self, name, value):
        (self.policies / name).write_text(json.dumps(value))

    @property
    def identifier(self):
        """Of the process that serves."""
        return self.identifiers[-1]

    @property
    def messages(self):
        return self.errors.read_text()

    def ask(self, path, port=None):
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=SECONDS_MAX)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
            response = connection.getresponse()
            return response.status, response.read().decode()
        except OSError:
            return None, ""
        finally:
            connection.close()

    def serves(self):
        return self.ask("/proxy/balances?instance_id=one") == (200, "null")

    def wait_until_serving(self):
        def has_started():
            if self.process.poll() is not None:
                raise Fault(f"serve ended with {self.process.returncode}: {self.messages[-500:]}")
            return self.serves()

        eventually(has_started, "the gateway serves")
        has_empty_proc = not os.listdir(f"/proc/{self.identifier}/root/proc")
        if has_empty_proc == self.has_proc:
            raise Fault(f"the gateway {'has no' if self.has_proc else 'sees'} /proc, so that this test shows nothing")

    def status(self):
        return json.loads(self.ask("/status", self.admin_port)[1])

    def metrics(self):
        """The value of each sample without labels, and the lines of all."""
        text = self.ask("/metrics", self.admin_port)[1]
        return {name: float(value) for name, value in re.findall(r"^(\w+) (\S+)$", text, re.MULTILINE)}, text

    def reload(self):
        before = self.status()["policy"]["generation"]
        os.kill(self.identifier, signal.SIGHUP)
        eventually(lambda: self.status()["policy"]["generation"] > before, "SIGHUP reloads")
        before = self.status()["policy"]["generation"]
        (self.policies / "clients.json").write_text((self.policies / "clients.json").read_text() + "\n")
        eventually(lambda: self.status()["policy"]["generation"] > before, "a changed file is reloaded")

    def upgrade(self):
        old = self.identifier
        count = self.messages.count(" serves\n")
        os.kill(old, signal.SIGUSR2)

        def has_ended():
            if "upgrade failed" in self.messages:
                raise Fault(f"SIGUSR2: {self.messages[-500:]}")
            return self.messages.count(" serves\n") > count

        eventually(has_ended, "SIGUSR2 starts a new process")
        self.identifiers.append(int(re.findall(r"process (\d+) serves\n", self.messages)[-1]))
        if old == self.process.pid and self.process.wait(timeout=90) != 0:
            raise Fault(f"the replaced process ended with {self.process.returncode}: {self.messages[-500:]}")
        if not self.serves():
            raise Fault("the new process does not serve")

    def stop(self):
        for identifier in self.identifiers:
            if identifier == self.process.pid:
                if self.process.poll() is None:
                    self.process.kill()
                    self.process.wait(timeout=SECONDS_MAX)
            elif self.is_ours(identifier):
                os.kill(identifier, signal.SIGKILL)

    def is_ours(self, identifier):
        """Whether the process still runs this test's copy of the program: its number may belong to another by now."""
        try:
            return os.readlink(f"/proc/{identifier}/exe").startswith(f"{self.folder}/")
        except OSError:
            return False


def allow_core_files():
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
