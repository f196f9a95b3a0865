"""Holds the gateway to a stored number of instructions per request, and to no allocations on its loops."""

import json
from pathlib import Path

import callgrind
from process import Failure

STORED = Path(__file__).parent / "instructions.json"
TOLERANCE = 1.03
# A table of a loop may grow now and then; an allocation that each request makes counts as 1.
ALLOCATIONS_MAX = 0.01


def guard(stage):
    found = callgrind.count(stage)
    stored = json.loads(STORED.read_text())["instructions_per_request"]
    summary = f"{found.instructions:,.0f} instructions per request (stored: {stored:,}), {found.allocations:.4f} allocations"
    if found.allocations > ALLOCATIONS_MAX:
        raise Failure(f"{summary}: requests allocate on a loop; they must not")
    if found.instructions > stored * TOLERANCE:
        raise Failure(
            f"{summary}: more than 3 % above the stored number. Find the added work; if it is worth its cost, store the new "
            f"number with Tests/Benchmarks/run --renew and say in the commit what it buys"
        )
    if found.instructions < stored / TOLERANCE:
        summary += "; more than 3 % below: store the new number with Tests/Benchmarks/run --renew"
    return summary


def renew(stage):
    found = round(callgrind.count(stage).instructions)
    STORED.write_text(json.dumps({"instructions_per_request": found}) + "\n")
    return f"{STORED.name}: {found:,} instructions per request"
