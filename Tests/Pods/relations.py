"""What the objects and the policy of a kustomization must say about each other."""

import ipaddress
import json
import re
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from faults import Fault
from kubelet import files_of, sources
from manifests import TOP

POLICIES = "/etc/blnk-gateway/policies"
LABEL = "app.kubernetes.io/name"
UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
KIB, MIB = 2**10, 2**20


def faults(objects):
    """One sentence for each fault."""
    found = []
    for relation in RELATIONS:
        try:
            found += relation(objects)
        except Fault as fault:
            found.append(str(fault))
    return found


def policy(objects, name):
    return json.loads(files_of(volumes(objects)["policies"], objects)[name][0])


def volumes(objects):
    return {volume["name"]: volume for volume in objects.pod["volumes"]}


def mounts(objects):
    return {mount["mountPath"]: mount for mount in objects.container["volumeMounts"]}


def port(address):
    return int(address.rpartition(":")[2])


def waits_for_the_drain(objects):
    timeouts = policy(objects, "gateway.json")["timeouts"]
    delay, drain = timeouts.get("drain_delay_s", 0), timeouts.get("drain_s", 65)
    grace = objects.pod["terminationGracePeriodSeconds"]
    if delay < 10:
        yield f"drain_delay_s is {delay}: endpoints take longer to disappear everywhere; at least 10"
    if grace <= delay + drain:
        yield f"terminationGracePeriodSeconds {grace} is not more than drain_delay_s + drain_s, {delay} + {drain}"


def uses_the_ports_of_the_policy(objects):
    settings = policy(objects, "gateway.json")
    listen, admin = settings["listen"], settings["admin"]
    for name, address in (("http", listen), ("admin", admin["address"])):
        declared = {each["name"]: each["containerPort"] for each in objects.container["ports"]}
        if declared.get(name) != port(address):
            yield f"the container's port {name} is {declared.get(name)}, the policy's {address}"
        if not ipaddress.ip_address(address.rpartition(":")[0].strip("[]")).is_unspecified:
            yield f"{address} cannot be reached from outside the pod"
    if not settings.get("health_on_listen"):
        yield "the probes need health_on_listen"
    for kind, path in (("startup", "/readyz"), ("liveness", "/livez"), ("readiness", "/readyz")):
        request = objects.container[f"{kind}Probe"]["httpGet"]
        if request != {"path": path, "port": "http"}:
            yield f"the {kind} probe is {request}, not {path} on port http"
    for service in objects.of_kind("Service"):
        for each in service["spec"]["ports"]:
            if each["targetPort"] != "http":
                yield f"Service {service['metadata']['name']}: port {each['name']} does not lead to the clients' port"


def forbids_other_connections(objects):
    settings = policy(objects, "gateway.json")
    (rules,) = objects.of_kind("NetworkPolicy")
    spec = rules["spec"]
    if sorted(spec["policyTypes"]) != ["Egress", "Ingress"]:
        yield f"NetworkPolicy: policyTypes is {spec['policyTypes']}; both directions are needed"
    for rule in spec["ingress"] + spec["egress"]:
        for peer in rule.get("from", rule.get("to", [{}])) or [{}]:
            if "kubernetes.io/metadata.name" not in peer.get("namespaceSelector", {}).get("matchLabels", {}):
                yield f"NetworkPolicy: {peer} is not in one namespace"
    allowed = [[each["port"] for each in rule["ports"]] for rule in spec["ingress"]]
    if allowed != [[port(settings["listen"])], [port(settings["admin"]["address"])]]:
        yield f"NetworkPolicy: allows {allowed}; the front needs the clients' port, Prometheus that of admin"
    if {(each["protocol"], each["port"]) for each in spec["egress"][0]["ports"]} != {("UDP", 53), ("TCP", 53)}:
        yield "NetworkPolicy: the first egress rule must allow DNS"
    cores = set()
    for rule in spec["egress"][1:]:
        for peer in rule["to"]:
            namespace = peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
            cores |= {(namespace, each["port"]) for each in rule["ports"]}
    named = set()
    for instance in policy(objects, "instances.json")["instances"].values():
        url = urlsplit(instance["url"])
        named.add((url.hostname.split(".")[1], url.port))
    if cores != named:
        yield f"NetworkPolicy: allows Cores at {sorted(cores)}, instances.json names {sorted(named)}"


def mounts_each_volume(objects):
    mounted = [mount["name"] for mount in objects.container["volumeMounts"]]
    claimed = [each["metadata"]["name"] for each in objects.workload["spec"].get("volumeClaimTemplates", [])]
    if sorted(mounted) != sorted([*volumes(objects), *claimed]):
        yield f"volumes {[*volumes(objects), *claimed]} and mounts {mounted} differ"
    for path, mount in mounts(objects).items():
        if "subPath" in mount or "subPathExpr" in mount:
            yield f"{path}: a subPath mount does not follow changes"
        if mount.get("readOnly", False) == (mount["name"] in claimed):
            yield f"{path}: readOnly is {mount.get('readOnly', False)}"
    for volume in volumes(objects).values():
        for name, kind, items, _ in sources(volume):
            content = objects.content(kind, name)
            if content is None:
                yield f"volume {volume['name']}: there is no {kind} {name}"
            elif missing := [item["key"] for item in items if item["key"] not in content]:
                yield f"volume {volume['name']}: {kind} {name} has no {missing}"
        if "projected" in volume and not all(items for *_, items, _ in sources(volume)):
            yield f"volume {volume['name']}: a source without items can replace the files of another"
        if any(is_optional for *_, is_optional in sources(volume)):
            yield f"volume {volume['name']}: an optional source lets a pod start without it"


def has_the_files_that_the_policy_names(objects):
    settings = policy(objects, "gateway.json")
    keys = [settings["admin"]["token"]] + ([settings["audit_key"]] if "audit_key" in settings else [])
    for instance in policy(objects, "instances.json")["instances"].values():
        keys += instance["key"] if isinstance(instance["key"], list) else [instance["key"]]
    for key in keys:
        path = PurePosixPath(key.get("file", ""))
        mount = mounts(objects).get(str(path.parent))
        volume = volumes(objects).get(mount["name"]) if mount else None
        if not volume or path.name not in files_of(volume, objects):
            yield f"the policy names {key}; there is no such file in a volume"
    log = settings.get("audit_log")
    claimed = {each["metadata"]["name"] for each in objects.workload["spec"].get("volumeClaimTemplates", [])}
    if log and mounts(objects).get(str(PurePosixPath(log).parent), {}).get("name") not in claimed:
        yield f"audit_log {log} is not on a volume that outlives the pod"
    if f"--policies {POLICIES}" not in " ".join(objects.container["args"]) or POLICIES not in mounts(objects):
        yield "the pod does not serve the policy folder that is mounted"


def selects_the_pods(objects):
    labels = objects.workload["spec"]["template"]["metadata"]["labels"].items()
    selectors = {"the workload": objects.workload["spec"]["selector"]["matchLabels"]}
    for each in objects.pod["topologySpreadConstraints"]:
        selectors[each["topologyKey"]] = each["labelSelector"]["matchLabels"]
    for service in objects.of_kind("Service"):
        selectors[f"Service {service['metadata']['name']}"] = service["spec"]["selector"]
    paths = {"PodDisruptionBudget": "selector", "NetworkPolicy": "podSelector", "PodMonitor": "selector"}
    for kind, path in paths.items():
        for each in objects.of_kind(kind):
            selectors[kind] = each["spec"][path]["matchLabels"]
    for name, selector in selectors.items():
        if not selector or not selector.items() <= labels:
            yield f"{name} selects {selector}, the pods have {dict(labels)}"


def is_restricted(objects):
    pod, container = objects.pod, objects.container
    wanted = {"runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
              "seccompProfile": {"type": "RuntimeDefault"}}
    for key, value in wanted.items():
        if pod["securityContext"].get(key) != value:
            yield f"the pod's {key} is {pod['securityContext'].get(key)}, not {value}"
    if container["securityContext"] != {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}
    }:
        yield f"the container's securityContext is {container['securityContext']}"
    if pod.get("automountServiceAccountToken") is not False:
        yield "the pod gets a token of its service account"


def stays_available(objects):
    spec = objects.workload["spec"]
    if spec["replicas"] < 2:
        yield f"replicas is {spec['replicas']}; at least 2"
    if objects.workload["kind"] == "Deployment" and spec["strategy"]["rollingUpdate"]["maxUnavailable"] != 0:
        yield "a rollout takes a pod away before its replacement is ready"
    (budget,) = objects.of_kind("PodDisruptionBudget")
    if budget["spec"].get("maxUnavailable") != 1:
        yield "the PodDisruptionBudget must allow one pod at a time"


def fits_into_its_limits(objects):
    """By the table in deploy/operations.md, "Memory"."""
    settings = policy(objects, "gateway.json")
    limits = settings["limits"]
    table = (TOP / "deploy/operations.md").read_text().partition("\n## Memory\n")[2]

    def row(name, unit):
        return int(re.search(rf"^\| {name}.*\| (?:[^|]*? )?(\d+) {unit}[^|]*\|$", table, re.MULTILINE)[1])

    needed = row("process", "MiB") * MIB + settings["loops"] * row("loop", "MiB") * MIB
    needed += limits["connections"] * row("connection with a request in flight", "KiB") * KIB
    needed += limits["upstream_connections"] * row("connection to a Core in use", "KiB") * KIB
    if "audit_log" in settings:
        needed += row("audit log", "MiB") * MIB + limits["connections"] * row("audited write in flight", "KiB") * KIB
    memory = objects.container["resources"]["limits"]["memory"]
    if needed > int(memory[:-2]) * UNITS[memory[-2:]]:
        yield f"the limit is {memory}, the policy's limits need up to {needed // MIB} MiB"
    if str(settings["loops"]) != str(objects.container["resources"]["limits"]["cpu"]):
        yield f"loops is {settings['loops']}, the CPU limit {objects.container['resources']['limits']['cpu']}"


def is_scraped_with_a_token(objects):
    for monitor in objects.of_kind("PodMonitor"):
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            reference = endpoint["authorization"]["credentials"]
            if reference["key"] not in (objects.content("Secret", reference["name"]) or {}):
                yield f"PodMonitor: there is no {reference}"
            if endpoint["port"] != "admin" or endpoint["path"] != "/metrics":
                yield f"PodMonitor: {endpoint['port']} {endpoint['path']} is not the admin port's /metrics"


RELATIONS = [
    waits_for_the_drain, uses_the_ports_of_the_policy, forbids_other_connections, mounts_each_volume,
    has_the_files_that_the_policy_names, selects_the_pods, is_restricted, stays_available, fits_into_its_limits,
    is_scraped_with_a_token,
]
