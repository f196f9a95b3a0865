"""The part of Tests/kubernetes that runs in its own network, with the tools from PyPI."""

import copy
import fcntl
import json
import os
import re
import signal
import socket
import struct
import sys
import tempfile
import time
from pathlib import Path

# Leaves no compiled Python in the sources.
sys.dont_write_bytecode = True

import relations
from faults import Fault, expect
from kubelet import files_of
from manifests import TOP, Copy, Objects, commands, example, run, validate
from mutations import MUTATIONS
from running import CHECKS, Trial

SECONDS_MAX = 240
KUSTOMIZATIONS = ("base", "production", "audited")


def raise_loopback():
    with socket.socket() as any_socket:
        # SIOCSIFFLAGS with IFF_UP and IFF_RUNNING.
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))


def renders_and_validates(work):
    """kubectl renders each kustomization, every object is valid, and an unknown field is not"""
    for name in KUSTOMIZATIONS:
        validate(work.render(name))
    broken = work.render("base").replace("terminationGracePeriodSeconds:", "terminationGracePeriod:")
    try:
        validate(broken)
    except Fault as fault:
        expect("terminationGracePeriod" in str(fault), f"another fault: {fault}")
    else:
        raise Fault("an unknown field is accepted")


def follows_the_readme(work):
    """The README's commands make the Secrets and a token, and check the policy folder; promtool accepts its example"""
    scraping = example("yaml")
    # Debian's Prometheus is built without this way to find targets.
    (targets,) = scraping["scrape_configs"][0].pop("kubernetes_sd_configs")
    expect(targets["role"] == "pod", "the example does not scrape each pod")
    (work.top / "prometheus.yaml").write_text(json.dumps(scraping))
    run(["promtool", "check", "config", "--syntax-only", work.top / "prometheus.yaml"], work.top)
    for prefix in ("head ", "echo "):
        for command in commands(prefix):
            work.shell(command)
    work.secrets = work.created()
    (make,) = commands("blnk-gateway token new ")
    work.token = work.shell(make).strip()
    expect(work.token.startswith("blnk_at_"), "token new prints no token")
    for command in commands("blnk-gateway check "):
        # As far as kubectl apply.
        output = work.shell(command.partition(" && ")[0])
        work.digest = re.search(r"sha256 ([0-9a-f]{64})", output)[1]
    (work.top / "leaked.txt").write_text(work.token)
    for command in commands("blnk-gateway token revoke "):
        folder = work.folder / "production/policies"
        kept = (folder / "revoked.json").read_bytes()
        work.shell(command)
        revoked = json.loads((folder / "revoked.json").read_text())["revoked"]
        expect(revoked["tokens"] or revoked["clients"], f"{command}: revoked nothing")
        (folder / "revoked.json").write_bytes(kept)


def with_monitor(work):
    """production/ with the component for the Prometheus Operator."""
    path = work.folder / "production/kustomization.yaml"
    kept = path.read_text()
    changed = kept.replace("#components:\n#  - ../podmonitor", "components:\n  - ../podmonitor")
    expect(changed != kept, "production/kustomization.yaml does not show how to add the component")
    path.write_text(changed)
    objects = work.objects("production")
    path.write_text(kept)
    expect(objects.of_kind("PodMonitor"), "the component adds no PodMonitor")
    return objects


def agree_with_each_other(work):
    """Ports, mounts, keys, selectors, limits and times of the objects and the policy agree"""
    for name, objects in (("production", work.objects("production")), ("audited", work.objects("audited")),
                          ("production with podmonitor", with_monitor(work))):
        found = relations.faults(Objects((objects | work.secrets).values()))
        expect(not found, f"{name}: {'; '.join(found)}")
    routes = json.loads((work.folder / "production/policies/routes.json").read_text())["routes"]
    shipped = json.loads((TOP / "policies/routes.full.json").read_text())["routes"]
    expect(routes == shipped, "production/policies/routes.json is not policies/routes.full.json")
    names = ("production/policies/gateway.json", "audited/gateway.json")
    settings = [json.loads((work.folder / name).read_text()) for name in names]
    for each in settings:
        for key in ("$schema", "audit_log", "audit_key"):
            each.pop(key, None)
    expect(settings[0] == settings[1], "audited/gateway.json differs from production's in more than the audit log")


def notices_disagreement(work):
    """Each relation is noticed if it is broken"""
    production = Objects((with_monitor(work) | work.secrets).values())
    audited = Objects((work.objects("audited") | work.secrets).values())
    for expected, kustomization, mutate in MUTATIONS:
        objects = Objects(copy.deepcopy(list((audited if kustomization == "audited" else production).values())))
        mutate(objects)
        found = relations.faults(objects)
        expect(any(expected in each for each in found), f"not noticed: {expected!r}; found {found}")


def have_the_digest_of_check(work):
    """The folder in the pod is byte for byte the one that check has read"""
    objects = Objects((work.objects("production") | work.secrets).values())
    files = files_of(relations.volumes(objects)["policies"], objects)
    folder = work.folder / "production/policies"
    expect({name: content for name, (content, _) in files.items()}
           == {path.name: path.read_bytes() for path in folder.iterdir()}, "the files differ")


def main():
    binary = Path(sys.argv[1])
    signal.signal(signal.SIGALRM, lambda *_: sys.exit(f"fault: not done after {SECONDS_MAX} s"))
    signal.alarm(SECONDS_MAX)
    # So that the pods end, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("fault: ended by SIGTERM"))
    raise_loopback()
    start, count = time.monotonic(), 0
    with tempfile.TemporaryDirectory(prefix="kubernetes-") as name:
        try:
            work = Copy(Path(name), binary)
            checks = [renders_and_validates, follows_the_readme, agree_with_each_other, notices_disagreement,
                      have_the_digest_of_check]
            for check in checks:
                check(work)
                print(f"{check.__doc__}", flush=True)
                count += 1
            for kustomization, checks in CHECKS.items():
                objects = Objects((work.objects(kustomization) | work.secrets).values())
                trial = Trial(objects, Path(name) / f"pod-{kustomization}", binary, work.token, work.digest)
                try:
                    for check in checks:
                        check(trial)
                        print(f"{kustomization}: {check.__doc__}", flush=True)
                        count += 1
                finally:
                    trial.stop()
        except (Fault, OSError) as fault:
            sys.exit(f"fault: {check.__doc__}: {fault}")
    print(f"{count} checks of deploy/kubernetes, {time.monotonic() - start:.0f} s")


main()
