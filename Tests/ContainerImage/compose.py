"""What the compose file says, as Compose itself understands it."""

import json
import subprocess

import yaml
from faults import require
from image import COMMENT


def check_compose(folder):
    """compose.yaml is valid; only the gateway is published, on loopback, without privileges; secrets are files"""
    file = folder / "compose.yaml"
    require(COMMENT in file.read_text().splitlines(), f"{file}: lacks the line {COMMENT!r}")
    done = subprocess.run(["docker-compose", "-f", file, "config"], capture_output=True, text=True, timeout=60)
    require(done.returncode == 0, f"docker-compose config: {done.stderr}")
    config = yaml.safe_load(done.stdout)
    services = config["services"]
    require(set(services) == {"gateway", "core", "worker", "migration", "postgres", "redis"}, f"services: {set(services)}")
    gateway = services["gateway"]
    for key, value in {
        "read_only": True, "cap_drop": ["ALL"], "ports": ["127.0.0.1:8080:8080/tcp"],
        "security_opt": ["no-new-privileges:true"], "secrets": [{"source": "core-key"}],
        "depends_on": {"core": {"condition": "service_healthy"}},
    }.items():
        require(gateway.get(key) == value, f"gateway.{key} is {gateway.get(key)}")
    for key in ("privileged", "user", "cap_add", "environment", "network_mode", "pid"):
        require(key not in gateway, f"gateway.{key} is {gateway.get(key)}")
    mounts = {mount.split(":")[1]: mount for mount in gateway["volumes"]}
    require(set(mounts) == {"/etc/blnk-gateway/policies", "/var/lib/blnk-gateway"}, f"gateway.volumes: {mounts}")
    require(mounts["/etc/blnk-gateway/policies"].endswith(":ro"), "the policy folder is not mounted read-only")
    for name, service in services.items():
        require(name == "gateway" or not service.get("ports"), f"{name} publishes {service.get('ports')}")
        require("no-new-privileges:true" in service["security_opt"], f"{name} may get new privileges")
    for name in ("core", "worker", "migration"):
        require(set(services[name]["networks"]) == {"core", "data"}, f"{name}: networks")
        require({one["source"] for one in services[name]["secrets"]} == {"core-key", "postgres-password"}, f"{name}: secrets")
    for name in ("core", "worker"):
        condition = services[name]["depends_on"]["migration"]["condition"]
        require(condition == "service_completed_successfully", f"{name} does not wait for the migration")
    for name in ("postgres", "redis"):
        require(list(services[name]["networks"]) == ["data"], f"{name} is in {services[name]['networks']}")
        require(services["migration"]["depends_on"][name]["condition"] == "service_healthy", f"migration, {name}")
    for name in ("core", "postgres", "redis"):
        require("test" in services[name]["healthcheck"], f"{name} has no health check")
    require(config["networks"]["data"]["internal"] is True, "the network of the data stores is not internal")
    require("gateway" in services and list(gateway["networks"]) == ["core"], "the gateway can reach the data stores")
    for name, secret in config["secrets"].items():
        require(secret["file"].endswith(".key"), f"{name}: {secret['file']} is not ignored by Git")
    check_script(services["core"]["entrypoint"])
    settings = json.loads((folder / "blnk.json").read_text())
    require(settings["server"]["secure"] is True, "Core accepts requests without its key")
    require("secret_key" not in settings["server"], "blnk.json has a key")
    grace = gateway["stop_grace_period"]
    require(grace == "75s", f"stop_grace_period is {grace}: a drain takes up to drain_s (65 s) and drain_delay_s (0 s)")


def check_script(entrypoint):
    """Runs Core's start script with a program in place of Core that shows what it gets."""
    script = entrypoint[2].replace("$$", "$")
    require(entrypoint[:2] == ["/bin/sh", "-euc"] and entrypoint[3:] == ["blnk"], f"entrypoint: {entrypoint}")
    show = "#!/bin/sh\necho \"$@ $BLNK_SERVER_SECRET_KEY $BLNK_DATA_SOURCE_DNS\"\n"
    command = """
        blnk=$(mktemp -d) && trap 'rm -r "$blnk"' EXIT
        printf '%s' "$SHOW" >$blnk/blnk && chmod 755 $blnk/blnk
        echo k1 >$blnk/core-key && echo p2 >$blnk/postgres-password
        PATH=$blnk:$PATH /bin/sh -euc "$(printf '%s' "$SCRIPT" | sed "s,/run/secrets,$blnk,")" blnk migrate up"""
    done = subprocess.run(["bash", "-euc", command], capture_output=True, text=True, timeout=30,
                          env={"PATH": "/usr/bin:/bin", "SHOW": show, "SCRIPT": script})
    expected = "migrate up k1 postgres://postgres:p2@postgres:5432/blnk?sslmode=disable\n"
    require(done.stdout == expected, f"Core would start with: {done.stdout}{done.stderr}")
