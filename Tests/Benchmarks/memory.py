"""Rows of resident memory: idle, with idle connections, after load, and after a burst of requests in flight."""

import contextlib
import subprocess
import time

from process import Failure, peak_resident_bytes, reset_peak_resident_bytes, resident_bytes, running
from result import Result
from stage import LOAD_CORES

MEGABYTE = 1e6
IDLE_CONNECTIONS = 5000
BURST_CONNECTIONS, BURST_SECONDS = 8000, 2
QUIET_SECONDS = 30


def memory(stage, rounds):
    idle, held, loaded = {}, {}, {}
    for number, start in enumerate([stage.gateway, stage.haproxy, stage.nginx]):
        rounds.progress(number)
        with start() as proxy:
            idle[proxy.name] = resident_bytes(proxy.pid)
            held[proxy.name] = held_by_idle_connections(stage, proxy)
        # Another process, because memory that this load frees may serve the idle connections.
        with start() as proxy:
            stage.load(proxy, ["--warm-up", 0, "--seconds", 1])
            loaded[proxy.name] = resident_bytes(proxy.pid)
    for measure, goal_max, values in (
        ("resident memory, idle", 20, idle),
        (f"additional memory: {IDLE_CONNECTIONS:,} idle connections", 2, held),
        ("resident memory after 1 s of load, 64 connections", 24, loaded),
    ):
        yield row(measure, goal_max, values["gateway"], {name: megabytes(value) for name, value in values.items()})


def held_by_idle_connections(stage, proxy):
    # Opens the connections to the instances now, so that their memory does not count as the clients'.
    stage.load(proxy, ["--connections", 1, "--seconds", 0.5])
    before = resident_bytes(proxy.pid)
    command = stage.load_command(proxy, ["--idle", "--connections", IDLE_CONNECTIONS])
    with running(command, LOAD_CORES, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as load:
        if load.stdout.readline() != b"ready\n" or b'"errors": 0' not in load.stdout.readline():
            raise Failure(f"{proxy.name} cannot serve {IDLE_CONNECTIONS} connections")
        return resident_bytes(proxy.pid) - before


def burst(stage, rounds):
    """All proxies wait for the end of their quiet time at once."""
    shown = {}
    with contextlib.ExitStack() as stack:
        quiet = []
        for number, start in enumerate([stage.gateway, stage.haproxy, stage.nginx]):
            rounds.progress(number)
            proxy = stack.enter_context(start())
            stage.load(proxy, ["--connections", 1, "--seconds", 0.5])
            before = resident_bytes(proxy.pid)
            reset_peak_resident_bytes(proxy.pid)
            # As many requests at once as there are connections: instances answer this path late.
            # With 80 for each, the queue of an instance may be full by chance: then it answers 503.
            flags = ["--connections", BURST_CONNECTIONS, "--path", "/slow", "--warm-up", 0, "--seconds", BURST_SECONDS]
            flags += ["--tolerate", 503]
            stage.load(proxy, flags)
            quiet.append((proxy, before, time.monotonic() + QUIET_SECONDS))
        after = {}
        for proxy, before, end in quiet:
            time.sleep(max(0, end - time.monotonic()))
            after[proxy.name], peak = resident_bytes(proxy.pid), peak_resident_bytes(proxy.pid)
            shown[proxy.name] = f"{megabytes(after[proxy.name])} (before {megabytes(before)}, peak {megabytes(peak)})"
    measure = f"resident memory {QUIET_SECONDS} s after {BURST_CONNECTIONS:,} requests in flight"
    yield row(measure, 60, after["gateway"], shown)


def row(measure, goal_max, found, shown):
    met = found <= goal_max * MEGABYTE
    return Result(measure, f"≤ {goal_max} MB", shown["gateway"], met, shown["haproxy"], nginx=shown["nginx"])


def megabytes(value):
    return f"{value / MEGABYTE:.1f} MB"
