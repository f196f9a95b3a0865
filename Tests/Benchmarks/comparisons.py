"""Rows that compare the gateway with HAProxy doing the same job: rounds are interleaved, in alternating order."""

import contextlib
import statistics
from dataclasses import dataclass

from result import Result, ratio
from stage import NEWER


@dataclass(frozen=True)
class Figure:
    """One number that the load reports, and the goal: a multiple of HAProxy's."""

    measure: str
    goal_max: float
    key: str = "cpu_us"


@dataclass(frozen=True)
class Comparison:
    flags: tuple  # of the load
    figures: tuple
    has_unknown_tokens: bool = False
    has_newer_peers: bool = False


COMPARISONS = {
    "get": Comparison((), (Figure("CPU per request: GET, 64 connections", 0.36),), has_newer_peers=True),
    "post": Comparison(
        ("--method", "POST", "--body", 250),
        (Figure("CPU per request: POST of 250 bytes, 64 connections", 0.50),),
        has_newer_peers=True,
    ),
    "refusals": Comparison(("--status", 401), (Figure("CPU per request: rejections (401)", 0.45),), has_unknown_tokens=True),
    "body16k": Comparison(
        ("--connections", 16, "--path", "/blob16k"),
        (Figure("CPU per request: response body of 16 KiB", 0.50),),
        has_newer_peers=True,
    ),
    "body1m": Comparison(
        ("--connections", 8, "--path", "/blob1m"),
        (Figure("CPU per request: response body of 1 MiB", 0.40),),
        has_newer_peers=True,
    ),
    "connections": Comparison(
        ("--connections", 16, "--close"),
        (Figure("CPU per request: one connection per request", 0.50),),
        has_newer_peers=True,
    ),
    "rate": Comparison(
        ("--rate", 8000),
        (
            Figure("CPU per request: open loop, 8,000 requests/s", 0.75),
            Figure("50th percentile latency: open loop, 8,000 requests/s", 1.00, "p50_us"),
            Figure("99th percentile latency: open loop, 8,000 requests/s", 1.00, "p99_us"),
        ),
    ),
    "active1000": Comparison(("--connections", 1000), (Figure("CPU per request: 1,000 active connections", 0.45),)),
}

TLS = Comparison(("--warm-up", 1.5), (Figure("CPU per request: HTTPS to the instances, keep-alive", 0.55),))


def compare(comparison, stage, rounds):
    with contextlib.ExitStack() as stack:
        starts = [stage.gateway, stage.haproxy, stage.nginx]
        if comparison.has_newer_peers:
            starts += [stage.haproxy_28, stage.envoy]
        return measured(comparison, stage, [stack.enter_context(start()) for start in starts], rounds)


def compare_tls(stage, rounds):
    with stage.tls() as terminators, stage.gateway(tls=terminators) as gateway, stage.haproxy(tls=terminators) as haproxy:
        return measured(TLS, stage, [gateway, haproxy], rounds)


def measured(comparison, stage, proxies, rounds):
    file = "unknown_tokens" if comparison.has_unknown_tokens else "targets"
    loads = {proxy.name: (proxy, getattr(proxy.data, file)) for proxy in proxies}
    return results(comparison.figures, interleaved(stage, loads, comparison.flags, rounds))


def interleaved(stage, loads, flags, rounds):
    """The numbers that the load reports in each round, by its name; `loads` are proxies with files of targets."""
    numbers = {name: [] for name in loads}
    for order in alternating(list(loads), rounds):
        for name in order:
            proxy, targets = loads[name]
            numbers[name].append(stage.load(proxy, (*rounds.load_flags, *flags, "--targets", targets)))
    return numbers


def alternating(things, rounds):
    for number in range(rounds.count):
        rounds.progress(number)
        yield things if number % 2 == 0 else things[::-1]


def results(figures, numbers):
    """A row for each figure; `numbers` as `interleaved` returns them, of "gateway", "haproxy" and maybe other peers."""
    for figure in figures:
        values = values_by_name(numbers, figure.key)
        shown = medians(values)
        quotient = ratio(values["gateway"], values["haproxy"])
        yield Result(
            figure.measure,
            "≤ HAProxy" if figure.goal_max == 1 else f"≤ {figure.goal_max:.2f} × HAProxy",
            shown["gateway"],
            quotient.median <= figure.goal_max,
            shown["haproxy"],
            quotient,
            shown.get("nginx", ""),
            of_newer(values),
        )


def values_by_name(numbers, key):
    return {name: [number[key] for number in of_rounds] for name, of_rounds in numbers.items()}


def medians(values):
    return {name: time_text(statistics.median(of_rounds)) for name, of_rounds in values.items()}


def time_text(us):
    return f"{us:.1f} µs" if us < 10_000 else f"{us / 1000:.0f} ms"


def of_newer(values):
    """The figures of the newer peers as Result has them: each with its ratio to HAProxy."""
    shown = medians(values)
    return {name: f"{shown[name]}, {ratio(values[name], values['haproxy'])}" for name in NEWER if name in values}
