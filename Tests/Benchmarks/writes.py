"""Rows of writes that become durable before they are sent: audited ones, and those with an idempotency key as well."""

import contextlib
import os
import statistics
import time

from bounds import against_itself
from comparisons import alternating
from result import Result, ratio

AUDIT = {"audit_log": "audit.log"}
KEYS = {"idempotency": {"keys_max": 5_000_000, "keys_per_client_max": 5_000_000}}
POST = ("--method", "POST", "--body", 250)
SYNCS = 100
CONNECTIONS = (8, 64)
KEYED_CPU_MAX = 1.5
KEYED_LATENCY_MAX = 5


def keyed(stage, rounds):
    """Two gateways with an audit log, one of them with a journal, too; and the disk itself."""
    with stage.gateway(settings=AUDIT) as audited, stage.gateway(settings=AUDIT | KEYS) as both:
        for connections in CONNECTIONS:
            loads = {"audited": (audited, POST), "keyed": (both, (*POST, "--keyed"))}
            numbers = measured(stage, loads, connections, rounds)
            of_keyed, of_audited = ([number["cpu_us"] for number in numbers[name]] for name in ("keyed", "audited"))
            measure = f"keyed and audited POST against audited, {connections} connections: CPU per request"
            yield against_itself(measure, KEYED_CPU_MAX, of_keyed, of_audited)
        numbers = measured(stage, {"keyed": (both, (*POST, "--keyed"))}, 1, rounds)
        disk = [sync_us(stage.folder) for _ in range(rounds.count)]
    latency = [number["p50_us"] for number in numbers["keyed"]]
    quotient = ratio(latency, disk)
    yield Result(
        "keyed and audited POST, one connection: 50th percentile latency against fdatasync of the disk",
        f"≤ {KEYED_LATENCY_MAX}",
        f"{statistics.median(latency):.0f} µs",
        quotient.median <= KEYED_LATENCY_MAX,
        f"{statistics.median(disk):.0f} µs (disk)",
        quotient,
    )


def measured(stage, loads, connections, rounds):
    numbers = {name: [] for name in loads}
    for order in alternating(list(loads), rounds):
        for name in order:
            proxy, flags = loads[name]
            numbers[name].append(stage.load(proxy, (*rounds.load_flags, *flags, "--connections", connections)))
    return numbers


def sync_us(folder):
    """The median time of fdatasync after appending 400 bytes to a file."""
    times = []
    path = folder / "sync"
    with contextlib.closing(open(path, "ab", buffering=0)) as file:
        for _ in range(SYNCS):
            file.write(bytes(400))
            begin = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(1e6 * (time.perf_counter() - begin))
    path.unlink()
    return statistics.median(times)
