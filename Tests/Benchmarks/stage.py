"""Starts what a measurement needs, in one temporary folder: the upstream, the proxies in front of it, and the load."""

import contextlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import data
import envoy
import haproxy
import introspection
import nginx
import policies
import signing
import tls
from process import Failure, free_port, running, tail, wait_for_port
from verify import verify

UPSTREAM_PORTS = 5
ATTEMPTS_MAX = 10
ENTRIES = (1000, 100)  # clients and instances, unless a row says otherwise
PROXY_CORES, LOAD_CORES, ALL_CORES = {0}, {1}, {0, 1}
NEWER = HAPROXY_28, ENVOY = "haproxy-2.8", "envoy"  # peers that are newer than Debian's


@dataclass(frozen=True, eq=False)
class Proxy:
    name: str
    port: int
    process: subprocess.Popen
    data: data.Data
    log: Path  # its access log
    behind: tuple = ()  # proxies behind it, whose CPU time counts as well

    @property
    def pid(self):
        return self.process.pid

    @property
    def pids(self):
        return [self.pid, *(pid for proxy in self.behind for pid in proxy.pids)]


class Stage:
    """Starts processes; the caller's `with` blocks stop them."""

    def __init__(self, folder, gateway, tools, upstream_ports):
        self.folder = folder
        self.gateway_program = gateway
        self.load_program = tools / "load"
        self.newer_programs = {name: tools / name for name in NEWER}
        self.upstream_ports = upstream_ports
        self.data_by_entries = {}
        self.started = 0

    def data(self, entries=ENTRIES):
        if entries not in self.data_by_entries:
            folder = self.folder / f"data-{entries[0]}-{entries[1]}"
            self.data_by_entries[entries] = data.make(folder, *entries, self.upstream_ports)
        return self.data_by_entries[entries]

    def new_folder(self, name):
        self.started += 1
        return self.folder / f"{name}-{self.started}"

    def tls(self):
        return tls.terminators(self.new_folder("tls"), self.upstream_ports, LOAD_CORES)

    @contextlib.contextmanager
    def gateway(self, entries=ENTRIES, loops=1, cores=PROXY_CORES, tls=None, under=(), settings=None, listeners=()):
        """The gateway with access log, metrics and all limits on.

        `under` is a command that runs it, such as valgrind; `settings` are added to gateway.json, `listeners` to its "listen".
        """
        folder, port = self.write_policies(entries, loops, tls, settings, listeners)
        state = self.new_folder("state")
        state.mkdir()
        command = [*under, *self.gateway_command(folder, state)]
        with self.proxy("gateway", command, port, entries, cores, state / "access.log", state / "errors") as proxy:
            yield proxy

    def gateway_command(self, policies, state):
        return [self.gateway_program, "serve", "--policies", policies, "--state", state]

    def write_policies(self, entries, loops=1, tls=None, settings=None, listeners=()):
        folder, port = self.new_folder("policies"), free_port()
        policies.write(
            folder,
            self.data(entries).folder,
            {
                "listen": [f"127.0.0.1:{port}", *listeners],
                "admin": f"127.0.0.1:{free_port()}",
                "loops": loops,
                "access_log": "access.log",
                "audit_log": None,
                "watch": False,
                **(settings or {}),
            },
            tls,
        )
        return folder, port

    def signed(self, targets, clients_max=None):
        """Targets with signed tokens, made from a file of `self.data()`; see signing.py."""
        return signing.make(self.new_folder("signed"), self.data(), targets, clients_max)

    def introspection_provider(self):
        return introspection.provider(self.new_folder("introspection"), self.data())

    @contextlib.contextmanager
    def haproxy(self, tls=None, program="haproxy", name="haproxy", **options):
        """`options` are those of haproxy.write."""
        folder, port = self.new_folder("haproxy"), free_port()
        configuration = haproxy.write(folder, self.data(), port, tls, **options)
        log = folder / "access.log"
        with open(log, "a") as output:
            command = [program, "-f", configuration]
            with self.proxy(name, command, port, ENTRIES, PROXY_CORES, log, folder / "errors", output) as proxy:
                yield proxy

    def haproxy_28(self):
        return self.haproxy(program=self.newer_programs[HAPROXY_28], name=HAPROXY_28)

    @contextlib.contextmanager
    def nginx(self):
        folder, port = self.new_folder("nginx"), free_port()
        configuration = nginx.write(folder, self.data(), port)
        command = ["nginx", "-e", folder / "errors", "-c", configuration]
        with self.proxy("nginx", command, port, ENTRIES, PROXY_CORES, folder / "access.log", folder / "stderr") as proxy:
            yield proxy

    @contextlib.contextmanager
    def envoy(self):
        folder, port = self.new_folder("envoy"), free_port()
        configuration = envoy.write(folder, self.data(), port)
        program = self.newer_programs[ENVOY]
        command = [program, "-c", configuration, "--concurrency", 1, "--disable-hot-restart", "-l", "error"]
        with self.proxy(ENVOY, command, port, ENTRIES, PROXY_CORES, folder / "access.log", folder / "errors") as proxy:
            yield proxy

    @contextlib.contextmanager
    def proxy(self, name, command, port, entries, cores, log, errors, output=subprocess.DEVNULL):
        with open(errors, "w") as file, running(command, cores, stdout=output, stderr=file) as process:
            wait_for_port(process, port, errors)
            verify(name, port, self.data(entries))
            yield Proxy(name, port, process, self.data(entries), log)
            if process.poll() is not None:
                raise Failure(f"{name} exited early with status {process.returncode}:\n{tail(errors)}")

    def load_command(self, proxy, flags):
        targets = [] if "--targets" in flags else ["--targets", proxy.data.targets]
        pids = [word for pid in proxy.pids for word in ("--pid", pid)]
        return [self.load_program, "--port", proxy.port, *pids, *targets, *flags]

    def load(self, proxy, flags, cores=LOAD_CORES):
        """Runs the load and returns its numbers; repeats it if a busy machine completed no request."""
        for _ in range(ATTEMPTS_MAX):
            result = self.load_once(proxy, flags, cores)
            if result["requests"] > 0:
                return result
        raise Failure(f"{proxy.name} completed no request within the window in {ATTEMPTS_MAX} attempts; is the machine too busy?")

    def load_once(self, proxy, flags, cores):
        with running(self.load_command(proxy, flags), cores, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            output, errors = process.communicate(timeout=200)
        # Keeps the log small.
        if proxy.log.exists():
            proxy.log.write_bytes(b"")
        return numbers(proxy, output, errors, process.returncode)

    @contextlib.contextmanager
    def gated_load(self, proxy, flags):
        """Starts a load that warms up and then waits; yields a function that continues it and returns its numbers."""
        command = self.load_command(proxy, flags)
        with open(self.folder / "load.errors", "w") as errors:
            with running(
                command, LOAD_CORES, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
            ) as process:
                if process.stdout.readline() != b"ready\n":
                    raise Failure(f"the load on {proxy.name} does not start:\n{tail(errors.name)}")

                def go():
                    process.stdin.write(b"\n")
                    process.stdin.flush()
                    return numbers(proxy, process.stdout.readline(), Path(errors.name).read_bytes(), 0)

                yield go


def numbers(proxy, output, errors, status):
    if status == 0 and output:
        result = json.loads(output.splitlines()[-1])
        if result["errors"] == 0:
            return result
    raise Failure(f"the load on {proxy.name} had errors:\n{output.decode()}{errors.decode()[-1000:]}")


@contextlib.contextmanager
def upstream(folder, tools):
    """Starts the upstream and yields its ports."""
    command = [tools / "upstream", UPSTREAM_PORTS]
    with open(folder / "upstream.errors", "w") as errors:
        with running(command, LOAD_CORES, stdout=subprocess.PIPE, stderr=errors) as process:
            ports = [int(word) for word in process.stdout.readline().split()]
            if len(ports) != UPSTREAM_PORTS:
                raise Failure(f"the upstream does not start:\n{tail(errors.name)}")
            yield ports
