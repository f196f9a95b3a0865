"""Starts a gateway with traffic of all kinds and a Prometheus that scrapes it; ends with exit code 1 and the cause at a
fault."""

import contextlib
import datetime
import http.client
import itertools
import json
import math
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
ALERTS = TOP / "deploy/monitoring/alerts.yml"
DASHBOARD = TOP / "deploy/monitoring/dashboard.json"
NAME = r"(?<![\w:])(?:blnk_gateway_[a-z_]+|instance_id:blnk_gateway_\w+(?::\w+)?|process_[a-z]+_[a-z_]+|up(?=\{))"
SECONDS_MAX = 60
# As "$__rate_interval" of Grafana for a scrape every second.
RATE_INTERVAL = "15s"


def main():
    # Leaves the "with" below, which stops the processes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    program = str(Path(sys.argv[1]).resolve())
    each_alert_has_both_cases()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        stage = Stage(Path(name), program, stack)
        checked = stage.scrape_is_valid()
        end = time.monotonic() + SECONDS_MAX
        queries = list(dashboard_queries())
        for title, query in queries:
            stage.expect_data(f"the dashboard's {title}", query, end)
        names = sorted(set(re.findall(NAME, ALERTS.read_text() + "\n".join(query for _, query in queries))))
        for metric in names:
            stage.expect_data(metric, f"count({metric})", end)
        rules = stage.rules_are_evaluated(end)
        for query in (
            'ALERTS{alertname="BlnkGatewayCoreRejectsKey",alertstate="firing",instance_id="wrong_key"}',
            'ALERTS{alertname="BlnkGatewayTokenExpiring",alertstate="firing",client="shop"}',
            'ALERTS{alertname="BlnkGatewayCoreUnavailable",instance_id="down"}',
        ):
            stage.expect_data("an alert", query, end)
        others = stage.ask('ALERTS{alertname!~".*(Core|Token|Budget|Outcomes).*"}')
        if others:
            sys.exit(f"error: alerts without a cause: {others}")
    print(f"{checked} samples; {len(queries)} queries and {len(names)} metrics have data; {rules} rules are evaluated")


def each_alert_has_both_cases():
    alerts = set(re.findall(r"- alert: (\w+)", ALERTS.read_text()))
    cases = re.findall(
        r"alertname: (\w+)\n +exp_alerts:( \[\])?", (TOP / "Tests/Monitoring/alerts.test.yml").read_text())
    for what, tested in (
        ("fires", {name for name, none in cases if not none}), ("does not fire", {name for name, none in cases if none}),
    ):
        if alerts != tested:
            sys.exit(f"error: alerts.test.yml: cases in which an alert {what}: {sorted(alerts ^ tested)}")


def dashboard_queries():
    dashboard = json.loads(DASHBOARD.read_text())
    variables = [variable["name"] for variable in dashboard["templating"]["list"]]
    for variable in dashboard["templating"]["list"]:
        match = re.fullmatch(r"label_values\((.*), (\w+)\)", variable.get("definition", ""))
        if variable["type"] == "query":
            metric = filled(match[1], variables)
            yield f"variable {variable['name']}", f'count by ({match[2]}) ({metric})'
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            continue
        for target in panel["targets"]:
            yield f"panel {panel['title']!r}", filled(target["expr"], variables)


def filled(query, variables):
    query = query.replace("$__rate_interval", RATE_INTERVAL)
    for variable in variables:
        query = re.sub(rf"\${variable}\b", ".*", query)
    if "$" in query:
        sys.exit(f"error: {DASHBOARD.name}: an unknown variable in {query}")
    return query


class Stage:
    def __init__(self, folder, program, stack):
        self.folder, self.program, self.stack = folder, program, stack
        core, down = free_port(), free_port()
        self.port, self.admin, self.prometheus = free_port(), free_port(), free_port()
        self.write_policy(core, down)
        sandbox = ["sandbox", "--listen", f"127.0.0.1:{core}", "--key-file", folder / "core.key"]
        self.start("sandbox", [program, *sandbox])
        self.start("gateway", [program, "serve", "--policies", folder / "policies", "--state", folder])
        self.write(
            "prometheus.yml",
            {
                "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                "rule_files": [str(ALERTS)],
                "scrape_configs": [
                    {"job_name": "blnk-gateway", "static_configs": [{"targets": [f"127.0.0.1:{self.admin}"]}]}
                ],
            },
        )
        self.start(
            "prometheus",
            ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{self.prometheus}"])
        self.wait_for("sandbox", core)
        self.wait_for("gateway", self.port)
        self.wait_for("prometheus", self.prometheus)
        over = threading.Event()
        traffic = threading.Thread(target=self.send, args=[over], daemon=True)
        traffic.start()
        stack.callback(traffic.join)
        stack.callback(over.set)

    def write(self, name, value):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(value))

    def write_policy(self, core, down):
        for name in ("core", "wrong"):
            path = self.folder / f"{name}.key"
            path.write_text(f"{name}-key-of-the-test")
            path.chmod(0o600)
        instance = lambda port, key="core": {
            "url": f"http://127.0.0.1:{port}", "key": {"file": str(self.folder / f"{key}.key")}}
        soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=2)
        client = lambda name, **more: {
            "scopes": ["proxy:read", "proxy:write"], "instances": ["main", "down", "wrong_key", "maintained"],
            "tokens": [{"sha256": self.digest(name), "expires": soon.strftime("%Y-%m-%dT%H:%M:%SZ")}
                       if name == "shop" else {"sha256": self.digest(name)}], **more}
        self.write("policies/instances.json", {"instances": {
            "main": instance(core), "down": instance(down), "wrong_key": instance(core, "wrong"),
            "maintained": {**instance(core), "writes": False}}})
        self.write("policies/clients.json", {"clients": {
            "shop": client("shop"), "reader": client("reader", scopes=["proxy:read"]),
            "busy": client("busy", limits={"requests_per_second": 1, "burst": 1})}})
        self.write("policies/gateway.json", {
            "listen": f"127.0.0.1:{self.port}", "admin": f"127.0.0.1:{self.admin}", "metrics": {"by_client": True},
            "access_log": "access.log", "audit_log": "audit.log", "idempotency": {},
            "limits": {"connections": 100, "upstream_connections": 50}})

    def digest(self, token):
        return subprocess.run(
            [self.program, "token", "hash"], input=f"token-of-{token}", text=True, capture_output=True, check=True
        ).stdout.strip()

    def start(self, name, command):
        with open(self.folder / f"{name}.output", "wb") as output:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self.stack.callback(process.wait)
        self.stack.callback(process.terminate)

    def wait_for(self, name, port):
        end = time.monotonic() + 30
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            time.sleep(0.05)
        sys.exit(f"error: {name} does not listen: {(self.folder / f'{name}.output').read_text()[-2000:]}")

    def send(self, over):
        """Requests of each kind in turn, until the checks are over."""
        kinds = [
            ("shop", "GET", "main"), ("shop", "POST", "main"), ("shop", "GET", "down"), ("shop", "GET", "wrong_key"),
            ("shop", "POST", "maintained"), ("reader", "GET", "main"), ("reader", "POST", "main"),
            ("busy", "GET", "main"), ("unknown", "GET", "main"), ("shop", "GET", "other"),
        ]
        for number in itertools.count():
            client, method, instance = kinds[number % len(kinds)]
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            headers = {"Authorization": f"Bearer token-of-{client}"}
            if method == "POST":
                headers["Idempotency-Key"] = f'"{number}"'
            body = json.dumps({"ledger_id": "general_ledger_id", "currency": "USD"}) if method == "POST" else None
            with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
                connection.request(method, f"/proxy/balances?instance_id={instance}", body, headers)
                connection.getresponse().read()
            if over.wait(0.02):
                return

    def get(self, port, path):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()

    def scrape_is_valid(self):
        """promtool accepts the metrics, also with all that by_client adds."""
        end = time.monotonic() + SECONDS_MAX
        while True:
            text = self.get(self.admin, "/metrics")[1]
            if b'client_limits_hit_total{client="busy",limit="rate"} 0' not in text or time.monotonic() > end:
                break
            time.sleep(0.1)
        result = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
        if result.returncode != 0 or result.stdout or result.stderr:
            sys.exit(f"error: promtool check metrics: {result.stdout + result.stderr}")
        return sum(not line.startswith(b"#") for line in text.splitlines())

    def ask(self, query):
        status, body = self.get(self.prometheus, f"/api/v1/query?query={urllib.parse.quote(query)}")
        answer = json.loads(body)
        if status != 200:
            sys.exit(f"error: {query}: {answer.get('error')}")
        return [sample for sample in answer["data"]["result"] if not math.isnan(float(sample["value"][1]))]

    def expect_data(self, what, query, end):
        while not self.ask(query):
            if time.monotonic() > end:
                sys.exit(f"error: no data for {what}: {query}")
            time.sleep(0.2)

    def rules_are_evaluated(self, end):
        while True:
            groups = json.loads(self.get(self.prometheus, "/api/v1/rules")[1])["data"]["groups"]
            rules = [rule for group in groups for rule in group["rules"]]
            faulty = [rule for rule in rules if rule["health"] != "ok"]
            if rules and not faulty:
                return len(rules)
            if time.monotonic() > end:
                sys.exit(f"error: rules that are not evaluated: {faulty}")
            time.sleep(0.2)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main()
