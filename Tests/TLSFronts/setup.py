"""What all fronts share: certificates, the two Cores, and the processes of a run."""

import grp
import hashlib
import os
import pwd
import re
import signal
import socket
import ssl
import subprocess

from clients import HOST
from faults import require, until
from servers import RecordingCore

CLIENTS = ("app", "near", "bound")


class Setup:
    """What all fronts share: certificates, the two Cores, and the processes of this run."""

    def __init__(self, folder, gateway, stack):
        self.folder, self.gateway, self.stack = folder, gateway, stack
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self.group = grp.getgrgid(os.getgid()).gr_name
        self.tokens = {client: f"a-token-of-{client}" for client in CLIENTS}
        self.make_certificates()
        (folder / "core.key").write_text("key\n")
        _, log = self.start("sandbox", gateway, "sandbox", "--listen", "127.0.0.1:0", "--key-file", folder / "core.key")
        port = until(lambda: re.search(r"127\.0\.0\.1:(\d+)", log.read_text()), 10, "the sandbox Core does not start")
        self.sandbox_port = port[1]
        self.core = RecordingCore()

    def openssl(self, *arguments):
        done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, cwd=self.folder, timeout=30)
        require(done.returncode == 0, f"openssl {arguments[0]} failed: {done.stderr.decode()}")
        return done.stdout

    def make_certificates(self):
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-x509")
        for ca in ("ca", "unknown-ca"):
            self.openssl("req", *key, "-keyout", f"{ca}.key", "-out", f"{ca}.pem", "-subj", f"/CN=Test {ca}")
        for name, ca in (("server", "ca"), ("client", "ca"), ("other", "ca"), ("unknown", "unknown-ca")):
            san = f"subjectAltName=DNS:{HOST},DNS:{name}.example"
            self.openssl(
                "req", *key, "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-keyout", f"{name}.key", "-out", f"{name}.pem",
                "-subj", f"/CN={name}", "-addext", san, "-addext", "basicConstraints=critical,CA:FALSE",
            )  # fmt: skip
        (self.folder / "bundle.pem").write_text(self.read("server.pem") + self.read("server.key"))
        self.digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.read("client.pem"))).hexdigest()

    def read(self, name):
        return (self.folder / name).read_text()

    def context(self, certificate=None, version=None):
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        context.set_alpn_protocols(["http/1.1"])
        if certificate:
            context.load_cert_chain(self.folder / f"{certificate}.pem", self.folder / f"{certificate}.key")
        if version:
            context.minimum_version = context.maximum_version = version
        return context

    def start(self, name, *command):
        """Starts a process that ends with this script, and returns it with the file of its output."""
        log = self.folder / f"{name}.log"
        environment = os.environ | {"HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder)}
        with log.open("w") as output:
            process = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
            )
        self.stack.callback(stop, process)
        return process, log


def stop(process, number=signal.SIGTERM):
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
