"""Measures the gateway, HAProxy, nginx and Envoy doing the same job on this machine, and prints a table.

The gateway's access log, metrics, limits, timeouts and strict parsing are on; its audit log is off. Each proxy has one loop
on core 0; load and upstream run on core 1. CPU time comes from /proc. Each proxy must pass a check that it does the whole
job before it is measured. Everything uses 127.0.0.1 and one temporary folder, and ends with the command.
"""

import argparse
import contextlib
import functools
import json
import os
import resource
import signal
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

import bounds
import guard
import inflight
import memory
import table
import tlsfront
import tokens
import writes
from comparisons import COMPARISONS, compare, compare_tls
from process import Failure
from stage import Stage, upstream

TOP = Path(__file__).resolve().parents[2]


def comparison(name):
    return functools.partial(compare, COMPARISONS[name])


ROWS = {
    "get": comparison("get"),
    "post": comparison("post"),
    "instructions": bounds.instructions,
    "syscalls": bounds.system_calls,
    "tokens": tokens.accepted,
    "refusals": comparison("refusals"),
    "forged": tokens.forged,
    "audited": writes.audited,
    "keyed": writes.keyed,
    "body16k": comparison("body16k"),
    "body1m": comparison("body1m"),
    "connections": comparison("connections"),
    "rate": comparison("rate"),
    "active1000": comparison("active1000"),
    "inflight": inflight.in_flight,
    "memory": memory.memory,
    "burst": memory.burst,
    "tls": compare_tls,
    "fronts": tlsfront.compare_fronts,
    "start": bounds.start,
    "scale": bounds.scale,
    "loops": bounds.loops,
}


@dataclass
class Rounds:
    count: int
    seconds: float  # of load, in each round
    row: str = field(default="", init=False)

    @property
    def load_flags(self):
        return ["--seconds", self.seconds]

    def progress(self, number):
        print(f"{self.row}: {number + 1}", file=sys.stderr)


def arguments():
    parser = argparse.ArgumentParser(
        prog="Tests/Benchmarks/run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="3 short rounds, to see that everything works; the figures are rough")
    parser.add_argument("--rows", metavar="A,B", help=f"only these rows: {', '.join(ROWS)}")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--write-readme", action="store_true", help="also update both README.md and cpu.svg")
    parser.add_argument("--guard", action="store_true", help="only check instructions, allocations and memory")
    parser.add_argument("--renew", action="store_true", help="only count the instructions per request and store the number")
    parser.add_argument("--gateway", type=Path, metavar="PROGRAM", help="measure this program instead of building one")
    parser.add_argument("--tools", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.rows = options.rows.split(",") if options.rows else list(ROWS)
    for row in options.rows:
        if row not in ROWS:
            parser.error(f"--rows {row}: unknown row; the rows are {', '.join(ROWS)}")
    if options.write_readme and (options.quick or options.rows != list(ROWS)):
        parser.error("--write-readme needs all rows and all rounds: leave out --rows and --quick")
    if not os.sched_getaffinity(0) >= {0, 1}:
        parser.error("needs cores 0 and 1, and this process may not use both")
    return options


def measure(stage, options):
    rounds = Rounds(3, 0.5) if options.quick else Rounds(7, 1)
    results = []
    for row in options.rows:
        rounds.row = row
        try:
            results.extend(ROWS[row](stage, rounds))
        except Failure:
            # The rows before it took minutes.
            if results:
                print(table.markdown(results, rounds, stage))
            raise
    text = table.markdown(results, rounds, stage)
    if options.write_readme:
        table.write(TOP, text)
    return json.dumps([asdict(result) for result in results], indent=2, ensure_ascii=False) if options.json else text


def leave(number, _):
    """Unwinds all `with` blocks, which stops what they started; a second signal must not interrupt that."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(128 + number)


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="blnk-gateway-benchmark-")))
            ports = stack.enter_context(upstream(folder, options.tools))
            stage = Stage(folder, options.gateway.resolve(), options.tools, ports)
            action = guard.guard if options.guard else guard.renew if options.renew else None
            print(action(stage) if action else measure(stage, options))
    except Failure as failure:
        sys.exit(f"error: {failure}")


if __name__ == "__main__":
    main()
