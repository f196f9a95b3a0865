"""Rows of TLS: a front of deploy/tls with the gateway behind it, against HAProxy that does TLS and the whole job itself."""

import contextlib
import grp
import os
import pwd
import sys
from dataclasses import replace
from pathlib import Path

import tls
from comparisons import Figure, interleaved, results
from process import Failure, free_port, running, wait_for_port
from stage import PROXY_CORES, Proxy
from verify import verify

TOP = Path(__file__).resolve().parents[2]
# Last, because it has modules with the same names as some here.
sys.path.append(str(TOP / "Tests/TLSFronts"))
from fronts import FRONTS

GOALS = {
    "haproxy-http": Figure("CPU per request: TLS front in HTTP mode and gateway", 0.80),
    "haproxy-tcp": Figure("CPU per request: TLS front in TCP mode and gateway", 0.67),
}
# As the head comments of the fronts show.
LISTENERS = {
    "haproxy-http": {"trusts": "forwarded", "certificate_header": "X-Forwarded-Client-Cert-SHA256"},
    "haproxy-tcp": {"trusts": "proxy_protocol"},
}


def compare_fronts(stage, rounds):
    certificates = tls.make_certificates(stage.new_folder("certificates"))
    with contextlib.ExitStack() as stack:
        proxies = {"haproxy": stack.enter_context(alone(stage, certificates))}
        for name in GOALS:
            proxies[name] = stack.enter_context(fronted(stage, certificates, name))
        loads = {name: (proxy, proxy.data.targets) for name, proxy in proxies.items()}
        numbers = interleaved(stage, loads, ("--tls", certificates.authority, "--warm-up", 1), rounds)
    for name, figure in GOALS.items():
        yield from results([figure], {"gateway": numbers[name], "haproxy": numbers["haproxy"]})


@contextlib.contextmanager
def alone(stage, certificates):
    """HAProxy with the gateway's job, and with the front's settings of TLS."""
    port = free_port()
    lines = configuration("haproxy-tcp").splitlines(keepends=True)
    settings = "".join(line for line in lines if line.startswith("  ssl-default-bind-"))
    bind = f"  bind 127.0.0.1:{port} ssl crt {certificates.server} alpn http/1.1\n"
    with stage.haproxy(settings=settings, further_binds=bind) as proxy:
        verify("haproxy with TLS", port, proxy.data, certificates.authority)
        yield replace(proxy, port=port)


@contextlib.contextmanager
def fronted(stage, certificates, name):
    folder, port = stage.new_folder(name), free_port()
    folder.mkdir()
    group = grp.getgrgid(os.getgid()).gr_name
    socket = folder / "proxy.sock"
    listener = {"address": f"unix:{socket}", "mode": "0660", "group": group, **LISTENERS[name]}
    places = {
        "user": f" user {pwd.getpwuid(os.getuid()).pw_name}",
        "group": f" group {group}",
        "log": "stderr",
        # As many as HAProxy alone accepts.
        "maxconn": "  maxconn 9000\n",
        "address": f"127.0.0.1:{port}",
        "bundle": str(certificates.server),
        "ca": str(certificates.authority),
        "socket": str(socket),
        "writes": str(folder / "writes.sock"),
    }
    path, errors = folder / "haproxy.cfg", folder / "errors"
    path.write_text(configuration(name, places))
    with contextlib.ExitStack() as stack:
        gateway = stack.enter_context(stage.gateway(listeners=[listener]))
        file = stack.enter_context(open(errors, "w"))
        process = stack.enter_context(running(["haproxy", "-db", "-f", path], PROXY_CORES, stderr=file))
        wait_for_port(process, port, errors)
        front = Proxy(f"{name} and gateway", port, process, gateway.data, gateway.log, (gateway,))
        verify(front.name, port, front.data, certificates.authority)
        yield front


def configuration(name, places=None):
    """A file of deploy/tls, without comments; with `places`, its paths, addresses and users are replaced."""
    front = next(front for front in FRONTS if front.name == name)
    lines = (TOP / "deploy/tls" / front.config).read_text().splitlines(keepends=True)
    text = "".join(line for line in lines if not line.lstrip().startswith("#"))
    for old, place in front.replacements.items() if places else ():
        if old not in text:
            raise Failure(f"deploy/tls/{front.config} does not have {old!r}")
        text = text.replace(old, places[place])
    return text
