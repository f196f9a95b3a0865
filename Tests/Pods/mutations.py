"""Changes that break one relation each: a part of the expected fault, the kustomization, and the change."""

import json


def policy(name, change):
    """A change to a file of the policy."""

    def mutate(objects):
        files = objects.content("ConfigMap", "blnk-gateway-policies")
        value = json.loads(files[name])
        change(value)
        objects.put("ConfigMap", "blnk-gateway-policies", {**files, name: json.dumps(value).encode()})

    return mutate


def pod(change):
    return lambda objects: change(objects.pod)


def container(change):
    return lambda objects: change(objects.container)


def network(change):
    return lambda objects: change(objects["NetworkPolicy", "blnk-gateway"]["spec"])


def without_secret(name):
    return lambda objects: objects.pop(("Secret", name))


def empty(name):
    return lambda objects: objects.put("Secret", name, {"another": b"x"})


def selects_another(kind, path):
    return lambda objects: objects[kind, "blnk-gateway"]["spec"].update({path: {"matchLabels": {"app": "another"}}})


P, A = "production", "audited"
MUTATIONS = [
    ("at least 10", P, policy("gateway.json", lambda value: value["timeouts"].update(drain_delay_s=5))),
    ("is not more than", P, pod(lambda pod: pod.update(terminationGracePeriodSeconds=75))),
    ("is not more than", P, policy("gateway.json", lambda value: value["timeouts"].update(drain_s=90))),
    ("the container's port http", P, policy("gateway.json", lambda value: value.update(listen="0.0.0.0:8081"))),
    ("the container's port admin", P, container(lambda each: each["ports"][1].update(containerPort=9902))),
    ("cannot be reached", P, policy("gateway.json", lambda value: value.update(listen="127.0.0.1:8080"))),
    ("health_on_listen", P, policy("gateway.json", lambda value: value.pop("health_on_listen"))),
    ("the readiness probe", P, container(lambda each: each["readinessProbe"]["httpGet"].update(path="/livez"))),
    ("the liveness probe", P, container(lambda each: each["livenessProbe"]["httpGet"].update(port="admin"))),
    ("does not lead", P,
     lambda objects: objects["Service", "blnk-gateway"]["spec"]["ports"][0].update(targetPort="admin")),
    ("NetworkPolicy: allows [[", P, network(lambda spec: spec["ingress"][0]["ports"][0].update(port=9901))),
    ("NetworkPolicy: policyTypes", P, network(lambda spec: spec["policyTypes"].pop())),
    ("is not in one namespace", P, network(lambda spec: spec["ingress"][1]["from"][0].pop("namespaceSelector"))),
    ("is not in one namespace", P, network(lambda spec: spec["ingress"][0].pop("from"))),
    ("must allow DNS", P, network(lambda spec: spec["egress"][0]["ports"].pop())),
    ("NetworkPolicy: allows Cores", P, network(lambda spec: spec["egress"][1]["ports"][0].update(port=5002))),
    ("NetworkPolicy: allows Cores", P,
     policy("instances.json", lambda value: value["instances"]["inst_main"].update(url="http://core.other.svc:5001"))),
    ("volumes", P, container(lambda each: each["volumeMounts"].pop())),
    ("subPath", P, container(lambda each: each["volumeMounts"][0].update(subPath="gateway.json"))),
    ("readOnly", P, container(lambda each: each["volumeMounts"][0].pop("readOnly"))),
    ("there is no Secret blnk-gateway-core-keys", P, without_secret("blnk-gateway-core-keys")),
    ("there is no Secret blnk-gateway-revoked", P, without_secret("blnk-gateway-revoked")),
    ("has no ['clients.json']", P, empty("blnk-gateway-clients")),
    ("can replace the files", P, pod(lambda pod: pod["volumes"][0]["projected"]["sources"][2]["secret"].pop("items"))),
    ("optional", P, pod(lambda pod: pod["volumes"][0]["projected"]["sources"][2]["secret"].update(optional=True))),
    ("there is no such file", P, empty("blnk-gateway-core-keys")),
    ("there is no such file", P, empty("blnk-gateway-admin")),
    ("there is no such file", A, empty("blnk-gateway-audit")),
    ("there is no such file", P,
     policy("instances.json", lambda value: value["instances"]["inst_main"].update(key={"env": "KEY"}))),
    ("outlives the pod", A, policy("gateway.json", lambda value: value.update(audit_log="/tmp/audit.log"))),
    ("does not serve the policy folder", P, container(lambda each: each.update(args=["serve"]))),
    ("Service blnk-gateway selects", P,
     lambda objects: objects["Service", "blnk-gateway"]["spec"].update(selector={"app": "another"})),
    ("PodDisruptionBudget selects", P, selects_another("PodDisruptionBudget", "selector")),
    ("NetworkPolicy selects", P, selects_another("NetworkPolicy", "podSelector")),
    ("PodMonitor selects", P, selects_another("PodMonitor", "selector")),
    ("the workload selects", P, selects_another("Deployment", "selector")),
    ("runAsUser", P, pod(lambda pod: pod["securityContext"].update(runAsUser=0))),
    ("container's securityContext", P,
     container(lambda each: each["securityContext"].update(readOnlyRootFilesystem=False))),
    ("service account", P, pod(lambda pod: pod.pop("automountServiceAccountToken"))),
    ("replicas", P, lambda objects: objects.workload["spec"].update(replicas=1)),
    ("takes a pod away", P,
     lambda objects: objects.workload["spec"]["strategy"]["rollingUpdate"].update(maxUnavailable=1)),
    ("one pod at a time", P,
     lambda objects: objects["PodDisruptionBudget", "blnk-gateway"]["spec"].update(maxUnavailable=0)),
    ("need up to", P, policy("gateway.json", lambda value: value["limits"].update(connections=12000))),
    ("need up to", A, container(lambda each: each["resources"]["limits"].update(memory="1Gi"))),
    ("the CPU limit", P, policy("gateway.json", lambda value: value.update(loops=4))),
    ("PodMonitor: there is no", P,
     lambda objects: objects["PodMonitor", "blnk-gateway"]["spec"]["podMetricsEndpoints"][0]["authorization"]
     ["credentials"].update(key="another")),
    ("is not the admin port's", P,
     lambda objects: objects["PodMonitor", "blnk-gateway"]["spec"]["podMetricsEndpoints"][0].update(port="http")),
]
