"""Holds the gateway to a stored figure of instructions a request, and to no allocations on its loops."""

import json
from pathlib import Path

import callgrind
from process import Failure

STORED = Path(__file__).parent / "instructions.json"
ROOM = 1.03
# A table of a loop may grow once in a while; an allocation that a request makes shows as 1.
ALLOCATIONS_MAX = 0.01


def guard(stage):
    found = callgrind.count(stage)
    stored = json.loads(STORED.read_text())["instructions_a_request"]
    summary = f"{found.instructions:,.0f} instructions a request (stored: {stored:,}), {found.allocations:.4f} allocations"
    if found.allocations > ALLOCATIONS_MAX:
        raise Failure(f"{summary}: a request makes allocations on a loop, and there are to be none")
    if found.instructions > stored * ROOM:
        raise Failure(
            f"{summary}: over the stored figure by more than 3 %. Find the work that came in; if it is worth its cost, "
            f"renew the figure with Tests/Benchmarks/run --renew and say in the commit what it buys"
        )
    if found.instructions < stored / ROOM:
        summary += "; it has become better, so hold it: Tests/Benchmarks/run --renew"
    return summary


def renew(stage):
    found = round(callgrind.count(stage).instructions)
    STORED.write_text(json.dumps({"instructions_a_request": found}) + "\n")
    return f"{STORED.name}: {found:,} instructions a request"
