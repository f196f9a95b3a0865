"""Checks with the gateway running as a pod."""

import http.client
import json
import re
import socket
import subprocess
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from core import Core
from faults import expect
from kubelet import Pod
from manifests import example
from relations import policy, port

# From the swap of a volume until the gateway must have the new content in force.
RELOAD_SECONDS_MAX = 2
# An address such as a kubelet probes and Prometheus scrapes.
POD_ADDRESS = "10.244.1.7"
BALANCES = "/proxy/balances?instance_id=inst_main"


class Trial:
    """A pod, the Core that its policy names, and the objects that an operator changes."""

    def __init__(self, objects, folder, binary, token, digest):
        self.objects, self.token, self.digest = objects, token, digest
        folder.mkdir()
        url = urlsplit(policy(objects, "instances.json")["instances"]["inst_main"]["url"])
        self.key = self.files("Secret", "blnk-gateway-core-keys")["core-main"].decode().strip()
        self.core = Core(url.port, self.key)
        self.settings = policy(objects, "gateway.json")
        self.port, self.admin = port(self.settings["listen"]), port(self.settings["admin"]["address"])
        claims = {
            each["metadata"]["name"]: folder / each["metadata"]["name"]
            for each in objects.workload["spec"].get("volumeClaimTemplates", [])
        }
        self.pod = Pod(objects, folder, binary, [url.hostname], claims)

    def files(self, kind, name):
        return self.objects.content(kind, name)

    def start(self):
        self.pod.start()
        probe = self.objects.container["startupProbe"]
        seconds = probe["periodSeconds"] * probe["failureThreshold"]
        self.within(seconds, lambda: self.probe("/readyz") == 200, "the startup probe fails")

    def stop(self):
        self.pod.kill()
        self.core.shutdown()
        self.core.server_close()

    def within(self, seconds, condition, message):
        end = time.monotonic() + seconds
        while not condition():
            expect(time.monotonic() < end, f"{message}, after {seconds} s; the gateway printed: {self.pod.log()}")
            expect(self.pod.process.poll() is None, f"the gateway ended: {self.pod.log()}")
            time.sleep(0.02)

    def request(self, method, path, port, headers):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            body = "{}" if method == "POST" else None
            connection.request(method, path, body, {"Host": f"{POD_ADDRESS}:{port}", **headers})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def probe(self, path):
        """The status, as a kubelet asks; nil: no connection."""
        try:
            return self.request("GET", path, self.port, {})[0]
        except OSError:
            return None

    def call(self, token=None, method="GET", path=BALANCES):
        return self.request(method, path, self.port, {"Authorization": f"Bearer {token or self.token}"})[0]

    def status(self):
        token = self.files("Secret", "blnk-gateway-admin")["token"].decode().strip()
        status, body = self.request("GET", "/status", self.admin, {"Authorization": f"Bearer {token}"})
        expect(status == 200, f"/status answers {status} to the token")
        return json.loads(body)["policy"]

    def edit(self, kind, name, file, change):
        """Changes a JSON file of an object, and brings the pod's volumes up to date."""
        files = dict(self.files(kind, name))
        value = json.loads(files[file])
        change(value)
        files[file] = json.dumps(value).encode()
        self.replace(kind, name, files)

    def replace(self, kind, name, files):
        self.objects.put(kind, name, files)
        expect(self.pod.sync(), f"no volume has changed with {kind} {name}")


def new_token(trial):
    """A token and its digest."""
    made = subprocess.run([trial.pod.binary, "token", "new"], capture_output=True, text=True, check=True, timeout=30)
    token = made.stdout.strip()
    digest = re.search(r"[0-9a-f]{64}", made.stderr)
    return token, digest[0]


def does_not_start_with_a_fault(trial):
    """A pod with a fault in one instance does not start, and names the fault"""
    before = trial.files("ConfigMap", "blnk-gateway-policies")
    trial.edit(
        "ConfigMap", "blnk-gateway-policies", "instances.json",
        lambda value: value["instances"].update(inst_two={"url": "http://two", "key": {"file": "/nowhere"}}))
    trial.pod.start()
    expect(trial.pod.wait(10) == 1, "the exit code is not 1")
    expect("instances.inst_two.key" in trial.pod.log(), f"the gateway printed: {trial.pod.log()}")
    trial.replace("ConfigMap", "blnk-gateway-policies", before)


def starts_as_a_pod(trial):
    """The pod starts, answers its probes, serves a client, and shows metrics only to the token"""
    trial.start()
    expect(trial.probe("/livez") == 200, "/livez fails")
    expect(trial.call() == 200, "a call with the token fails")
    expect(trial.call("blnk_at_unknown") == 401, "a call with an unknown token does not get 401")
    expect(trial.request("GET", "/metrics", trial.admin, {})[0] == 401, "/metrics needs no token")
    expect(trial.status()["sha256"] == trial.digest, "/status does not show the digest that check prints")
    is_confined(trial)
    code, output = trial.pod.run("check", "--strict", "--policies", "/etc/blnk-gateway/policies")
    expect(code == 0, f"check --strict fails in the pod: {output}")


def is_confined(trial):
    """The namespaces of the trial are as strict as the manifest asks, so that the checks hold for a real pod."""
    process = Path(f"/proc/{trial.pod.pid}")
    status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
    expect(status["Uid"].split() == ["65532"] * 4 and status["Gid"].split() == ["65532"] * 4, f"runs as {status['Uid']}")
    expect(int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0, f"has capabilities {status['CapEff']}")
    expect(status["NoNewPrivs"] == "1" and status["NSpid"].split()[-1] == "1", "is not process 1 without new privileges")
    options = {line.split()[4]: line.split()[5].split(",") for line in (process / "mountinfo").read_text().splitlines()}
    for path in ("/", *(mount["mountPath"] for mount in trial.objects.container["volumeMounts"])):
        expect("ro" in options[path], f"{path} is mounted {options[path]}")


def reloads_clients(trial):
    """A swap of clients.json lets a new client in and keeps a removed one out"""
    token, digest = new_token(trial)
    before = trial.files("Secret", "blnk-gateway-clients")

    def add(value):
        client = {"scopes": ["proxy:read"], "instances": ["inst_main"], "tokens": [{"sha256": digest}]}
        value["clients"] = {"warehouse": client}

    trial.edit("Secret", "blnk-gateway-clients", "clients.json", add)
    trial.within(RELOAD_SECONDS_MAX, lambda: trial.call(token) == 200, "the new client cannot call")
    trial.within(RELOAD_SECONDS_MAX, lambda: trial.call() == 401, "the removed client can still call")
    trial.replace("Secret", "blnk-gateway-clients", before)
    trial.within(RELOAD_SECONDS_MAX, lambda: trial.call() == 200, "the client that is back cannot call")


def reloads_entry_folders(trial):
    """A Secret whose items are in clients/ adds clients, and a swap of it counts"""
    token, digest = new_token(trial)
    volume = trial.pod.volumes["policies"][0]
    name = "blnk-gateway-clients-tenant"
    entry = {"scopes": ["proxy:read"], "instances": ["inst_main"], "tokens": [{"sha256": digest}]}
    trial.objects["Secret", name] = {"kind": "Secret", "metadata": {"name": name}}
    trial.objects.put("Secret", name, {"tenant.json": json.dumps({"clients": {"tenant": entry}}).encode()})
    items = [{"key": "tenant.json", "path": "clients/tenant.json"}]
    volume["projected"]["sources"].append({"secret": {"name": name, "items": items}})
    trial.pod.sync()
    trial.within(RELOAD_SECONDS_MAX, lambda: trial.call(token) == 200, "the client in clients/ cannot call")
    trial.edit("Secret", name, "tenant.json", lambda value: value["clients"]["tenant"]["tokens"].clear())
    trial.within(RELOAD_SECONDS_MAX, lambda: trial.call(token) == 401, "the token that was removed can still call")
    del volume["projected"]["sources"][-1]
    trial.pod.sync()


def keeps_the_policy_if_broken(trial):
    """A broken ConfigMap changes nothing, /status says so, and a revocation holds even then"""
    token, digest = new_token(trial)
    trial.edit(
        "Secret", "blnk-gateway-clients", "clients.json",
        lambda value: value["clients"]["shop"]["tokens"].append({"sha256": digest}))
    trial.within(RELOAD_SECONDS_MAX, lambda: trial.call(token) == 200, "the new token cannot call")
    before = trial.files("ConfigMap", "blnk-gateway-policies")
    generation = trial.status()["generation"]
    broken = dict(before)
    broken["gateway.json"] = before["gateway.json"].replace(b'"timeouts"', b'"timeout"')
    trial.replace("ConfigMap", "blnk-gateway-policies", broken)
    trial.within(RELOAD_SECONDS_MAX, lambda: trial.status()["reloads_refused"] > 0, "/status shows no refused reload")
    expect("timeout: unknown key" in json.dumps(trial.status()), f"/status does not name the key: {trial.status()}")
    expect(trial.status()["generation"] == generation, "the broken policy is in force")
    expect(trial.call(token) == 200, "a client cannot call while the new policy is broken")
    revoke(trial, digest)
    trial.within(RELOAD_SECONDS_MAX, lambda: trial.call(token) == 401, "the token that was revoked meanwhile can call")
    expect(trial.call() == 200, "another token cannot call")
    trial.replace("ConfigMap", "blnk-gateway-policies", before)
    trial.within(RELOAD_SECONDS_MAX, lambda: trial.status()["fault_count"] == 0, "/status still shows a fault")
    expect(trial.call(token) == 401, "the revoked token can call again")


def revoke(trial, digest):
    name = "blnk-gateway-revoked"
    trial.edit("Secret", name, "revoked.json", lambda value: value["revoked"]["tokens"].append(digest))


def revokes(trial):
    """A swap of revoked.json alone holds within 2 s"""
    token, digest = new_token(trial)
    trial.edit(
        "Secret", "blnk-gateway-clients", "clients.json",
        lambda value: value["clients"]["shop"]["tokens"].append({"sha256": digest}))
    trial.within(RELOAD_SECONDS_MAX, lambda: trial.call(token) == 200, "the new token cannot call")
    start = time.monotonic()
    revoke(trial, digest)
    trial.within(2, lambda: trial.call(token) == 401, "the revoked token can still call")
    print(f"  revoked {time.monotonic() - start:.2f} s after the swap", flush=True)


def keeps_revocations(trial):
    """A Secret of revocations that is gone holds up all changes, and the revocations stay"""
    name = "blnk-gateway-revoked"
    token, digest = new_token(trial)
    kept = trial.objects.pop(("Secret", name))
    try:
        trial.pod.sync()
    except Exception as error:
        expect(name in str(error), f"another fault: {error}")
    else:
        expect(False, "the volume was made without the revocations")
    expect(trial.call() == 200, "a client cannot call")
    trial.objects["Secret", name] = kept
    trial.pod.sync()


def rotates_keys(trial):
    """A Core's key rotates with a second key in the Secret and in the policy, in either order, without a failed read"""
    name, old = "blnk-gateway-core-keys", trial.key
    new = "a-new-key-of-this-core"
    failed, stopping = [], threading.Event()

    def read():
        while not stopping.is_set():
            status = trial.call()
            if status != 200:
                failed.append(status)
            time.sleep(0.01)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        # Another volume: the policy may be there before the key that it names.
        trial.edit(
            "ConfigMap", "blnk-gateway-policies", "instances.json", lambda value: value.update(example("json")))
        trial.within(RELOAD_SECONDS_MAX, lambda: trial.status()["fault_count"] > 0, "/status shows no missing key")
        trial.replace("Secret", name, {"core-main": old.encode(), "core-main-next": new.encode()})
        trial.within(RELOAD_SECONDS_MAX, lambda: trial.status()["fault_count"] == 0, "the new key is not in force")
        trial.core.key = new
        time.sleep(0.5)
        # The new key becomes core-main: one swap of each volume.
        trial.replace("Secret", name, {"core-main": new.encode(), "core-main-next": new.encode()})
        trial.edit(
            "ConfigMap", "blnk-gateway-policies", "instances.json",
            lambda value: value["instances"]["inst_main"].update(key={"file": "/etc/blnk-gateway/keys/core-main"}))
        time.sleep(1)
        trial.replace("Secret", name, {"core-main": new.encode()})
        time.sleep(1)
    finally:
        stopping.set()
        reader.join(timeout=30)
    expect(not failed, f"{len(failed)} reads failed: {failed[:5]}")
    expect(trial.status()["fault_count"] == 0, f"/status shows a fault: {trial.status()}")
    # The same file with another key: there is no second key to try.
    trial.core.key = "a-third-key"
    expect(trial.call() == 502, "the Core does not refuse the old key")
    trial.replace("Secret", name, {"core-main": b"a-third-key"})
    trial.within(RELOAD_SECONDS_MAX, lambda: trial.call() == 200, "the key of the changed file is not in use")


def drains(trial):
    """SIGTERM: the pod serves new connections for drain_delay_s, is not ready meanwhile, and exits with 0 in time"""
    delay = trial.settings["timeouts"]["drain_delay_s"]
    slow = []
    seconds = delay + 3
    path = f"{BALANCES}&delay={seconds}"
    exchange = threading.Thread(target=lambda: slow.append(trial.call(path=path)))
    exchange.start()
    time.sleep(1)
    start = time.monotonic()
    trial.pod.terminate()
    trial.within(1, lambda: trial.probe("/readyz") == 503, "/readyz does not answer 503")
    count = 0
    while time.monotonic() < start + delay - 1:
        expect(trial.call() == 200, f"a call fails {time.monotonic() - start:.1f} s after SIGTERM")
        expect(trial.probe("/readyz") == 503, f"/readyz is not 503 {time.monotonic() - start:.1f} s after SIGTERM")
        expect(trial.probe("/livez") == 200, f"/livez fails {time.monotonic() - start:.1f} s after SIGTERM")
        count += 1
        time.sleep(0.1)
    code = trial.pod.wait(trial.objects.pod["terminationGracePeriodSeconds"] - (time.monotonic() - start))
    took = time.monotonic() - start
    exchange.join(timeout=5)
    expect(code == 0, f"exit code {code}: {trial.pod.log()}")
    expect(slow == [200], f"the exchange in progress ended with {slow}")
    expect(took >= delay, f"the pod ended {took:.1f} s after SIGTERM")
    with socket.socket() as probe:
        expect(probe.connect_ex(("127.0.0.1", trial.port)) != 0, "the port is still open")
    print(f"  {count} calls on new connections during {delay} s; ended after {took:.1f} s", flush=True)


def audits(trial):
    """The audit log is on the pod's own volume, outlives the pod, and audit verify finds it intact there"""
    log, key = trial.settings["audit_log"], trial.settings["audit_key"]["file"]
    for _ in range(2):
        trial.start()
        for _ in range(50):
            expect(trial.call(method="POST") == 200, "a write fails")
        trial.pod.terminate()
        code = trial.pod.wait(trial.objects.pod["terminationGracePeriodSeconds"])
        expect(code == 0, f"exit code {code}: {trial.pod.log()}")
    # As kubectl exec runs it.
    code, output = trial.pod.run("audit", "verify", "--key-file", key, log)
    expect(code == 0 and "intact" in output, f"audit verify: {output}")
    (path,) = [folder / log.rpartition("/")[2] for folder in trial.pod.claims.values()]
    entries = path.read_text().splitlines()
    writers = {json.loads(line)["writer"] for line in entries}
    expect(len(writers) == 2, f"{len(writers)} chains of two pods")
    print(f"  {len(entries)} entries, {path.stat().st_size // 100} bytes for each write", flush=True)


CHECKS = {
    "production": [
        does_not_start_with_a_fault, starts_as_a_pod, reloads_clients, reloads_entry_folders,
        keeps_the_policy_if_broken, revokes, keeps_revocations, rotates_keys, drains,
    ],
    "audited": [audits],
}
