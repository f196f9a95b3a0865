"""Holds the gateway to a stored number of instructions per request, and to no allocations on its loops.

A request with a signed token may take a fixed number of instructions more than one with a token of a policy file.
"""

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
    seen, new = callgrind.count_signed(stage)
    stored = json.loads(STORED.read_text())["instructions_per_request"]
    seen_more, new_more = (count.instructions - found.instructions for count in (seen, new))
    summary = (
        f"{found.instructions:,.0f} instructions per request (stored: {stored:,}), {found.allocations:.4f} allocations; "
        f"signed tokens: {seen_more:,.0f} more if seen before, {seen.allocations:.4f} allocations; "
        f"{new_more:,.0f} more if never seen, {new.allocations:.4f} allocations"
    )
    for tokens, count in (("in policy files", found), ("signed and seen before", seen), ("signed and never seen", new)):
        if count.allocations > ALLOCATIONS_MAX:
            raise Failure(f"{summary}: requests with tokens {tokens} allocate on a loop; they must not")
    if found.instructions > stored * TOLERANCE:
        raise Failure(
            f"{summary}: more than 3 % above the stored number. Find the added work; if it is worth its cost, store the new "
            f"number with Tests/Benchmarks/run --renew and say in the commit what it buys"
        )
    for kind, more, more_max in (
        ("seen before", seen_more, callgrind.SEEN_MORE_MAX),
        ("never seen", new_more, callgrind.NEW_MORE_MAX),
    ):
        if more > more_max:
            raise Failure(
                f"{summary}: a signed token that was {kind} may take {more_max:,} instructions more than a token in a "
                f"policy file. Find the added work, from SignedAdmission.swift on"
            )
    if found.instructions < stored / TOLERANCE:
        summary += "; more than 3 % below: store the new number with Tests/Benchmarks/run --renew"
    return summary


def renew(stage):
    found = round(callgrind.count(stage).instructions)
    STORED.write_text(json.dumps({"instructions_per_request": found}) + "\n")
    return f"{STORED.name}: {found:,} instructions per request"
