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
AUDITED_CPU_US_MAX = {8: 45, 64: 22}
AUDITED_CPU_RATIO_MAX = {64: 1.4}
AUDITED_LATENCY_MAX = 3
AUDITED_LATENCY_CONNECTIONS = 8
KEYED_CPU_MAX = 1.3
KEYED_LATENCY_MAX = 5


def audited(stage, rounds):
    """A gateway with an audit log against one without; and the disk itself."""
    with stage.gateway() as plain, stage.gateway(settings=AUDIT) as durable:
        for connections in CONNECTIONS:
            numbers = measured(stage, {"plain": (plain, POST), "audited": (durable, POST)}, connections, rounds)
            yield audited_cpu(connections, *cpu_us(numbers, "audited", "plain"))
            if connections == AUDITED_LATENCY_CONNECTIONS:
                what = f"audited POST, {connections} connections"
                yield against_disk(what, AUDITED_LATENCY_MAX, numbers["audited"], numbers["disk"])


def audited_cpu(connections, ours, base):
    us_max, ratio_max = AUDITED_CPU_US_MAX[connections], AUDITED_CPU_RATIO_MAX.get(connections)
    found, quotient = statistics.median(ours), ratio(ours, base)
    return Result(
        f"audited POST against unaudited, {connections} connections: CPU per request",
        f"≤ {us_max} µs" + (f" and ≤ {ratio_max:g}" if ratio_max else ""),
        f"{found:.1f} µs",
        found <= us_max and (ratio_max is None or quotient.median <= ratio_max),
        f"{statistics.median(base):.1f} µs (own)",
        quotient,
    )


def keyed(stage, rounds):
    """Two gateways with an audit log, one of them with a journal, too; and the disk itself."""
    with stage.gateway(settings=AUDIT) as durable, stage.gateway(settings=AUDIT | KEYS) as both:
        of_keyed = (both, (*POST, "--keyed"))
        for connections in CONNECTIONS:
            numbers = measured(stage, {"audited": (durable, POST), "keyed": of_keyed}, connections, rounds)
            measure = f"keyed and audited POST against audited, {connections} connections: CPU per request"
            yield against_itself(measure, KEYED_CPU_MAX, *cpu_us(numbers, "keyed", "audited"))
        numbers = measured(stage, {"keyed": of_keyed}, 1, rounds)
        yield against_disk("keyed and audited POST, one connection", KEYED_LATENCY_MAX, numbers["keyed"], numbers["disk"])


def against_disk(what, goal_max, ours, disk):
    latency, sync = ([number["p50_us"] for number in numbers] for numbers in (ours, disk))
    quotient = ratio(latency, sync)
    return Result(
        f"{what}: 50th percentile latency against fdatasync of the disk",
        f"≤ {goal_max}",
        f"{statistics.median(latency):.0f} µs",
        quotient.median <= goal_max,
        f"{statistics.median(sync):.0f} µs (disk)",
        quotient,
    )


def cpu_us(numbers, *names):
    return [[number["cpu_us"] for number in numbers[name]] for name in names]


def measured(stage, loads, connections, rounds):
    """The numbers that the load reports in each round, by its name; and the disk's, which is measured in each round."""
    numbers = {name: [] for name in (*loads, "disk")}
    for order in alternating(list(loads), rounds):
        for name in order:
            proxy, flags = loads[name]
            numbers[name].append(stage.load(proxy, (*rounds.load_flags, *flags, "--connections", connections)))
        numbers["disk"].append({"p50_us": sync_us(stage.folder)})
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
