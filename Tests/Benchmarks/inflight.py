"""Rows of thousands of requests in flight: more than the gateway's `upstream_connections`, so that many wait in its queues."""

import contextlib
import statistics

from comparisons import interleaved, medians, of_newer, values_by_name
from result import Result, ratio

REQUESTS = 5000
# Instances answer this path late. Of a window, several turns of all requests should be in it.
FLAGS = ("--connections", REQUESTS, "--path", "/slow", "--warm-up", 1.5, "--tolerate", 503)
SECONDS_MIN = 2
CPU_US_MAX = 25
WHAT = f"{REQUESTS:,} in flight, 100 instances"


def in_flight(stage, rounds):
    starts = [stage.gateway, stage.haproxy, stage.nginx, stage.haproxy_28, stage.envoy]
    with contextlib.ExitStack() as stack:
        proxies = [stack.enter_context(start()) for start in starts]
        loads = {proxy.name: (proxy, proxy.data.targets) for proxy in proxies}
        flags = (*FLAGS, "--seconds", max(SECONDS_MIN, rounds.seconds))
        numbers = interleaved(stage, loads, flags, rounds)
    cpu, p99 = (values_by_name(numbers, key) for key in ("cpu_us", "p99_us"))
    to_haproxy, to_nginx = ratio(cpu["gateway"], cpu["haproxy"]), ratio(p99["gateway"], p99["nginx"])
    cpu_met = statistics.median(cpu["gateway"]) <= CPU_US_MAX
    yield row(f"CPU per request: {WHAT}", f"≤ {CPU_US_MAX} µs", medians(cpu), cpu_met, to_haproxy, of_newer(cpu))
    p99_met = to_nginx.median <= 1
    yield row(f"99th percentile latency: {WHAT}", "≤ nginx", medians(p99), p99_met, to_nginx, of_newer(p99))
    refused = {name: sum(values) for name, values in values_by_name(numbers, "tolerated").items()}
    shown = {name: f"{count:,}" for name, count in refused.items()}
    yield row(f"503 responses: {WHAT}", "none", shown, refused["gateway"] == 0)


def row(measure, goal, shown, met, quotient=None, newer=None):
    return Result(measure, goal, shown["gateway"], met, shown["haproxy"], quotient, shown["nginx"], newer or {})
