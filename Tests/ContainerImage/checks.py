"""The checks of Tests/container. Each function's first line of documentation is what holds if it returns."""

import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time

from compose import check_compose
from faults import Fault, require, until
from image import Dockerfile, assemble, check_context, check_dockerfile, check_files, check_refusals, size
from runtime import Container, Image, adopt_orphan, can_use_bubblewrap, children, status, writable_places
from servers import NameServer, SlowCore, accepts, call, make_certificates, start_nginx, start_sandbox, write_policies

POLICIES, LOGS, AUTHORITIES = "/etc/blnk-gateway/policies", "/var/lib/blnk-gateway", "/etc/ssl/certs"
HOSTS = "127.0.0.1 localhost core.internal\n"


class Trial:
    def __init__(self, top, folder, binary, stack, bubblewrap):
        self.top, self.folder, self.binary, self.stack = top, folder, binary, stack
        self.docker, self.script = top / "deploy/docker", top / "deploy/docker/root-filesystem"
        self.bubblewrap = can_use_bubblewrap() if bubblewrap is None else bubblewrap
        self.dockerfile = Dockerfile(self.docker / "Dockerfile")
        self.root = folder / "image"
        self.token = "a-token-for-the-container"
        self.policies, self.logs = folder / "policies", folder / "logs"

    def run(self):
        print(f"runs with {'bubblewrap' if self.bubblewrap else 'unshare and chroot'}", flush=True)
        self.check(check_dockerfile, self.dockerfile, self.script)
        self.check(check_context, self.top)
        self.check(check_compose, self.docker)
        self.check(check_refusals, self.script, self.binary, self.folder)
        assemble(self.script, self.binary, self.root)
        libraries = self.check(check_files, self.root, int(self.dockerfile.user))
        program = (self.root / "usr/bin/blnk-gateway").stat().st_size
        print(f"size of the image: {size(self.root) / 1e6:.1f} MB, {program / 1e6:.1f} MB of it the gateway", flush=True)
        self.prepare()
        self.check(check_example, self)
        for check in (serves, adds_tokens, loads_only(libraries), writes_only_to_volumes, reports_health, refuses_unknown_authority,
                      reloads, reopens_logs, refuses_upgrade, leaves_no_zombies, drains(signal.SIGTERM),
                      drains(signal.SIGINT), ends_at_second_signal, serves_without_proc):  # fmt: skip
            self.check(check, self)

    def check(self, check, *arguments):
        try:
            result = check(*arguments)
        except (Fault, OSError, subprocess.SubprocessError) as fault:
            raise Fault(f"does not hold: {check.__doc__}: {fault}") from fault
        print(check.__doc__, flush=True)
        return result

    def prepare(self):
        """Starts the Cores and writes what the container mounts."""
        folder = self.folder
        for name, text in {"core-key": "key-of-core\n", "audit-key": "k" * 32 + "\n", "hosts": HOSTS,
                           "resolv.conf": "nameserver 127.0.0.1\noptions timeout:2 attempts:2\n"}.items():  # fmt: skip
            (folder / name).write_text(text)
        for name in ("core-key", "audit-key"):
            os.chown(folder / name, int(self.dockerfile.user), int(self.dockerfile.group))
            (folder / name).chmod(0o400)
        make_certificates(folder, "core.internal")
        digest = subprocess.run([self.binary, "token", "hash"], input=self.token, text=True, capture_output=True, check=True)
        write_policies(self.policies, digest.stdout.strip())
        (self.policies / "ca.pem").write_text((folder / "ca.pem").read_text())
        self.trusted = folder / "trusted"
        self.trusted.mkdir()
        shutil.copy(folder / "ca.pem", self.trusted)
        subprocess.run(["openssl", "rehash", self.trusted], check=True, timeout=30)
        # As a new named volume gets the owner that the image's folder has.
        entry = (self.root / LOGS[1:]).stat()
        self.logs.mkdir(mode=0o750)
        os.chown(self.logs, entry.st_uid, entry.st_gid)
        start_sandbox(self.binary, folder, folder / "core-key", self.stack)
        start_nginx(folder, self.stack)
        self.names, self.slow = NameServer("core.named.test"), SlowCore()
        self.image = Image(self.root, folder / "root", self.dockerfile, ("core-key", "audit-key"))

    def container(self, trusted=None, policies=None, is_writable=False, **options):
        folder = self.folder
        mounts = [(folder / "hosts", "/etc/hosts"), (folder / "resolv.conf", "/etc/resolv.conf")]
        writable = [(self.logs, LOGS)]
        (writable if is_writable else mounts).append((policies or self.policies, POLICIES))
        mounts += [(folder / name, f"/run/secrets/{name}") for name in ("core-key", "audit-key")]
        mounts += [(trusted, AUTHORITIES)] if trusted else []
        return Container(
            self.image, folder, mounts, writable, self.stack, bubblewrap=self.bubblewrap, **options)

    def serving(self, **options):
        require(not accepts(8080), "another process listens on port 8080")
        container = self.container(**options)
        container.wait_until_said("admin endpoint on ")
        fields = status(container.main)
        require(fields["Uid"].split()[1] == self.dockerfile.user, f"the gateway's user: {fields['Uid']}")
        require(fields["NoNewPrivs"] == "1" and int(fields["CapEff"], 16) == 0, "the gateway has privileges")
        return container

    def calls(self, instance, expected, path="/proxy/ledgers", **options):
        got, text = call(instance, self.token, path, **options)
        require(got == expected, f"{instance}: {got} instead of {expected}: {text}")
        return text


def check_example(trial):
    """the example policies of deploy/docker pass "check --strict" in the container, with Core's key as a secret"""
    container = trial.container(policies=trial.docker / "policies", command=["/usr/bin/blnk-gateway", "check", "--strict"])
    code = container.wait(30)
    require(code == 0, f"exit code {code}: {container.output.read_text()}{container.said}")
    text = container.output.read_text()
    require(re.search(r"1 client, 1 instance, \d+ routes", text), text)


def adds_tokens(trial):
    """a second container, whose user owns the policy folder, adds a token, and the gateway accepts it"""
    gateway = trial.serving()
    owner = "1000"
    paths = [trial.policies, *trial.policies.iterdir()]
    for path in paths:
        os.chown(path, int(owner), int(owner))
    command = ["/usr/bin/blnk-gateway", "token", "new", "--client", "app"]
    refused = trial.container(command=command)
    require(refused.wait(20) == 1, f"user {trial.dockerfile.user} could write to the read-only folder: {refused.said}")
    adding = trial.container(command=command, user=owner, is_writable=True)
    require(adding.wait(20) == 0, f"token new: {adding.said}")
    token = adding.output.read_text().strip()
    until(lambda: call("address", token)[0] == 200, 10, "the gateway does not accept the new token")
    gateway.kill()


def serves(trial):
    """the gateway serves as process 1: instances by address, by /etc/hosts, by a name server, and by TLS with its own CA"""
    container = trial.serving()
    for instance in ("address", "hosts-file", "name-server", "own-authority"):
        trial.calls(instance, 200)
    require(trial.names.answered > 0, "the name server was not asked")
    trial.calls("own-authority", 201, method="POST", body='{"name": "of the container"}')
    require('"of the container"' in trial.calls("address", 200), "the write did not reach the Core")
    lines = [json.loads(line) for line in (trial.logs / "audit.log").read_text().splitlines()]
    require(len(lines) >= 2, f"the audit log in the volume has {len(lines)} lines")
    until(lambda: container.output.read_text().count('"status":') >= 6, 10, "no access log on standard output")
    container.kill()


def loads_only(libraries):
    def check(trial):
        container = trial.serving()
        trial.calls("own-authority", 200)
        with open(f"/proc/{container.main}/maps") as maps:
            # With chroot, the paths begin with that of the container's root.
            mapped = set(re.findall(r" (?:/\S+?)??(/usr/lib\S+)$", maps.read(), re.MULTILINE))
        require(mapped == libraries, f"only in the image: {libraries - mapped}; only loaded: {mapped - libraries}")
        container.kill()

    check.__doc__ = f"the gateway loads each of the {len(libraries)} libraries in the image, and no other file"
    return check


def writes_only_to_volumes(trial):
    """nothing in the container is writable for the gateway but the log volume and devices"""
    container = trial.serving()
    everywhere = writable_places(container, ("/dev/",))
    require(f"{LOGS}/.test" in everywhere, f"the search does not find the log volume: {everywhere}")
    others = {place for place in everywhere if not place.startswith(f"{LOGS}/")}
    require(not others, f"writable: {sorted(others)}")
    container.kill()


def reports_health(trial):
    """the command of HEALTHCHECK exits with 0 while the gateway serves, and with 1 while it drains"""
    container = trial.serving()
    done = container.execute(trial.dockerfile.health)
    require(done.returncode == 0, f"while it serves: {done}")
    with slow_request(trial, 3):
        container.send(signal.SIGTERM)
        container.wait_until_said("draining")
        done = container.execute(trial.dockerfile.health)
        require(done.returncode == 1, f"while it drains: {done}")
    container.wait(20)


def refuses_unknown_authority(trial):
    """without a CA file the image's own list of authorities decides: a Core with another one gets no request"""
    container = trial.serving()
    text = trial.calls("system-authorities", 502)
    require('"outcome":"not_sent"' in text.replace(" ", "") and "TLS" in text, text)
    container.kill()
    container = trial.serving(trusted=trial.trusted)
    trial.calls("system-authorities", 200)
    container.kill()


def reloads(trial):
    """SIGHUP reloads the policy, and so does a change of the mounted folder"""
    container = trial.serving()
    before = len(container.said)
    container.send(signal.SIGHUP)
    until(lambda: "generation 2" in container.said[before:], 10, lambda: f"no reload: {container.said}")
    file = trial.policies / "clients.json"
    good = file.read_text()
    clients = json.loads(good)
    clients["clients"]["app"]["revoked"] = True
    file.write_text(json.dumps(clients))
    try:
        container.wait_until_said("generation 3")
        trial.calls("address", 401)
    finally:
        file.write_text(good)
    container.wait_until_said("generation 4")
    trial.calls("address", 200)
    container.kill()


def reopens_logs(trial):
    """SIGUSR1 reopens the audit log in the volume"""
    container = trial.serving()
    (trial.logs / "audit.log").rename(trial.logs / "audit.log.1")
    container.send(signal.SIGUSR1)
    until((trial.logs / "audit.log").exists, 10, "no new audit log")
    require((trial.logs / "audit.log").stat().st_uid == int(trial.dockerfile.user), "another user's audit log")
    container.kill()


def refuses_upgrade(trial):
    """SIGUSR2 starts nothing: the gateway says that the container is to be replaced, and serves"""
    container = trial.serving()
    container.send(signal.SIGUSR2)
    container.wait_until_said("upgrade failed: this is process 1, whose end ends its container; replace the container")
    require(not children(container.main), "it has started a process")
    trial.calls("address", 200)
    container.kill()


def leaves_no_zombies(trial):
    """orphans of the container, which process 1 gets, leave no zombies"""
    container = trial.serving()
    orphan = adopt_orphan(container, seconds=1)
    require(status(orphan), "the orphan ended too early")
    until(lambda: status(orphan).get("State", "Z")[0] == "Z", 10, "the orphan does not end")
    until(lambda: not status(orphan), 2, lambda: f"process {orphan} stays: {status(orphan).get('State')}")
    trial.calls("address", 200)
    container.kill()


class slow_request:
    """A request that takes some seconds at its Core, in progress while the body of the "with" runs."""

    def __init__(self, trial, seconds):
        self.trial, self.seconds, self.result = trial, seconds, None

    def __enter__(self):
        self.trial.slow.seconds = self.seconds
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        require(self.trial.slow.received.acquire(timeout=10), "the slow Core got no request")
        return self

    def run(self):
        try:
            self.result = call("slow", self.trial.token)
        except OSError as error:
            self.result = error

    def __exit__(self, *_):
        self.thread.join(30)


def drains(number):
    def check(trial):
        container = trial.serving()
        with slow_request(trial, 1.5) as request:
            container.send(number)
            container.wait_until_said("draining")
        code = container.wait(20)
        require(request.result == (200, "slow"), f"the request in progress got {request.result}")
        require(code == 0, f"exit code {code}: {container.said}")

    check.__doc__ = f"{signal.Signals(number).name} drains process 1: the request in progress gets its response; exit code 0"
    return check


def ends_at_second_signal(trial):
    """a second SIGTERM or SIGINT ends a draining process 1 at once, with exit code 143 or 130"""
    for number in (signal.SIGTERM, signal.SIGINT):
        container = trial.serving()
        with slow_request(trial, 6):
            container.send(signal.SIGTERM)
            container.wait_until_said("draining")
            start = time.monotonic()
            container.send(number)
            code = container.wait(3)
            require(time.monotonic() - start < 3 and code == 128 + number, f"exit code {code}")


def serves_without_proc(trial):
    """without /proc it serves, too"""
    container = trial.serving(has_proc=False)
    trial.calls("address", 200)
    container.kill()
