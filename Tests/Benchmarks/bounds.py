"""Rows with an absolute goal: instructions, system calls, start, and the gateway compared with itself."""

import contextlib
import re
import signal
import socket
import statistics
import time

import callgrind
from comparisons import alternating
from process import Failure, connections_by_loop, running, tail
from result import Result, ratio
from stage import ALL_CORES, LOAD_CORES, PROXY_CORES

INSTRUCTIONS_MAX = 12_500
FEW, MANY = (10, 1), (100_000, 10_000)  # clients and instances
CALLS_TO_CONNECT = {"accept", "accept4", "connect", "socket", "close", "shutdown", "setsockopt", "getsockopt", "getpeername"}
STRACE_REQUESTS = 20_000


def instructions(stage, rounds):
    rounds.progress(0)
    found = callgrind.count(stage).instructions
    yield Result("user instructions per request (callgrind)", f"≤ {INSTRUCTIONS_MAX:,}", f"{found:,.0f}", found <= INSTRUCTIONS_MAX)
    rounds.progress(1)
    seen, new = callgrind.count_signed(stage)
    for kind, count, more_max in (
        ("seen before", seen.instructions, callgrind.SEEN_MORE_MAX),
        ("never seen", new.instructions, callgrind.NEW_MORE_MAX),
    ):
        measure = f"user instructions per request: signed token, {kind}, against a token in a policy file"
        met = count <= found + more_max
        yield Result(measure, f"≤ {more_max:,} more", f"{count:,.0f}", met, f"{found:,.0f} (own)")


def system_calls(stage, rounds):
    found = {}
    for number, start in enumerate([stage.gateway, stage.haproxy, stage.nginx]):
        rounds.progress(number)
        with start() as proxy, stage.gated_load(
            proxy, ["--connections", 16, "--warm-up", 1, "--requests", STRACE_REQUESTS]
        ) as go:
            with traced(stage, proxy) as calls:
                go()
            found[proxy.name] = (
                sum(count for name, count in calls.items() if name not in CALLS_TO_CONNECT) / STRACE_REQUESTS
            )
    yield Result(
        "system calls per request (strace)",
        "≤ 4.2",
        f"{found['gateway']:.2f}",
        found["gateway"] <= 4.2,
        f"{found['haproxy']:.2f}",
        nginx=f"{found['nginx']:.2f}",
    )


@contextlib.contextmanager
def traced(stage, proxy):
    """Yields a dictionary that holds the counts of the process's system calls by name once the block has ended."""
    summary, errors = stage.new_folder("strace"), stage.new_folder("strace-errors")
    calls = {}
    with open(errors, "w") as file:
        command = ["strace", "-f", "-c", "-p", proxy.pid, "-o", summary]
        with running(command, LOAD_CORES, stderr=file) as strace:
            wait_for_text(errors, "attached", strace)
            yield calls
            strace.send_signal(signal.SIGINT)
            strace.wait(30)
    # % time, seconds, usecs/call, calls, errors (where there are any), name
    for line in summary.read_text().splitlines():
        found = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", line)
        if found and found.group(2) != "total":
            calls[found.group(2)] = int(found.group(1))
    if not calls:
        raise Failure(f"strace counted nothing:\n{tail(errors)}")


def wait_for_text(path, text, process):
    deadline = time.monotonic() + 20
    while text not in path.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            raise Failure(f"{process.args[0]} does not start:\n{tail(path)}")
        time.sleep(0.02)


def start(stage, rounds):
    for entries, goal_max, unit, factor, cores in (
        (FEW, 0.050, "ms", 1000, PROXY_CORES),
        (MANY, 1, "s", 1, ALL_CORES),
    ):
        folder, port = stage.write_policies(entries)
        target = stage.data(entries).targets.read_text().split()[:2]
        times = []
        for number in range(min(rounds.count, 7)):
            rounds.progress(number)
            times.append(first_answer(stage, folder, port, *target, cores))
        found = statistics.median(times)
        measure = f"start to first response: {entries[0]:,} clients and {entries[1]:,} instance{'s' * (entries[1] > 1)}"
        measure += ", two cores" * (cores == ALL_CORES)
        digits = 0 if unit == "ms" else 2
        shown = f"{found * factor:.{digits}f} {unit}"
        yield Result(measure, f"≤ {goal_max * factor:g} {unit}", shown, found <= goal_max)


def first_answer(stage, folder, port, token, instance, cores):
    """Seconds from just before the process starts to the first response from an instance."""
    state = stage.new_folder("state")
    state.mkdir()
    request = f"GET /proxy/balances?instance_id={instance} HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {token}\r\n\r\n"
    with open(state / "errors", "w") as errors:
        began = time.monotonic()
        with running(stage.gateway_command(folder, state), cores, stderr=errors) as process:
            while process.poll() is None and time.monotonic() < began + 60:
                with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 60) as peer:
                    peer.sendall(request.encode())
                    answer = peer.recv(4096)
                    ended = time.monotonic()
                    if not answer.startswith(b"HTTP/1.1 200 "):
                        raise Failure(f"the first response is wrong: {answer[:200]}")
                    return ended - began
                time.sleep(0.0005)
    raise Failure(f"the gateway does not start:\n{tail(state / 'errors')}")


def scale(stage, rounds):
    """Compares many tokens and instances with few.

    Connections to many instances cost more than large tables do, so each has its own row.
    """
    rounds.progress(0)
    few, many = (
        callgrind.count(stage, entries, stage.data(entries).targets).instructions for entries in (FEW, MANY)
    )
    measure = "100,000 tokens and 10,000 instances against 10 and 1"
    quotient = ratio([many], [few])
    yield Result(f"{measure}: instructions", "≤ 1.05", f"{many:,.0f}", many <= 1.05 * few, f"{few:,.0f} (own)", quotient)
    with stage.gateway(entries=FEW) as of_few, stage.gateway(entries=MANY) as of_many:
        narrow, wide = of_many.data.narrow, of_many.data.targets
        loads = [(of_few, of_few.data.targets), (of_many, narrow), (of_many, wide)]
        values = {load: [] for load in loads}
        for order in alternating(loads, rounds):
            for proxy, targets in order:
                flags = [*rounds.load_flags, "--connections", 32, "--targets", targets]
                values[proxy, targets].append(stage.load(proxy, flags)["cpu_us"])
        base = values[loads[0]]
        to_one, to_many = (f"{measure}: CPU per request, 1,024 tokens to {count}" for count in ("one instance", "1,024 instances"))
        yield against_itself(to_one, 1.05, values[of_many, narrow], base)
        yield against_itself(to_many, 1.2, values[of_many, wide], base)


def loops(stage, rounds):
    cores = {"cores": ALL_CORES}
    with stage.gateway(loops=1, **cores) as one, stage.gateway(loops=2, **cores) as two:
        values = {one.port: [], two.port: []}
        for order in alternating([two, one], rounds):
            for proxy in order:
                values[proxy.port].append(stage.load(proxy, rounds.load_flags, ALL_CORES)["cpu_us"])
        yield against_itself("two loops against one: CPU per request", 1.1, values[two.port], values[one.port])
        with stage.gated_load(two, ["--warm-up", 0.2, "--requests", 1]):
            spread = sorted(connections_by_loop(two.pid, two.port))
    even = len(spread) == 2 and spread[1] - spread[0] <= 2
    yield Result("two loops: distribution of 64 connections", "even", " and ".join(map(str, spread)), even)


def against_itself(measure, goal_max, ours, base):
    quotient = ratio(ours, base)
    shown, other = (f"{statistics.median(values):.1f} µs" for values in (ours, base))
    return Result(measure, f"≤ {goal_max:g}", shown, quotient.median <= goal_max, f"{other} (own)", quotient)
