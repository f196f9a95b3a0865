"""Holds the gateway to stored numbers of instructions per request, to no allocations on its loops, and to its memory.

A request with a signed token may take a fixed number of instructions more than one with a token of a policy file.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import burst
import callgrind
import writes
from process import Failure

STORED = Path(__file__).parent / "instructions.json"
TOLERANCE = 1.03
# A table of a loop may grow now and then; an allocation that each request makes counts as 1.
ALLOCATIONS_MAX = 0.01


@dataclass(frozen=True)
class Case:
    flags: tuple = ()
    settings: dict = field(default_factory=dict)
    has_unknown_tokens: bool = False


CASES = {
    "GET": Case(),
    "POST": Case(writes.POST),
    "audited POST": Case(writes.POST, writes.AUDIT),
    "401": Case(("--status", 401), has_unknown_tokens=True),
}


def guard(stage):
    stored = json.loads(STORED.read_text())
    counts = {name: count(stage, case) for name, case in CASES.items()}
    lines = [check(name, found, stored[name]) for name, found in counts.items()]
    return "\n".join([*lines, check_signed(stage, counts["GET"].instructions), burst.check(stage)])


def count(stage, case):
    targets = stage.data().unknown_tokens if case.has_unknown_tokens else None
    return callgrind.count(stage, targets=targets, settings=case.settings, flags=case.flags)


def check(name, found, stored):
    summary = (
        f"{name}: {found.instructions:,.0f} instructions per request (stored: {stored:,}), {found.allocations:.4f} allocations"
    )
    forbid_allocations(name, found)
    if found.instructions > stored * TOLERANCE:
        raise Failure(
            f"{summary}: more than 3 % above the stored number. Find the added work; if it is worth its cost, store the new "
            f"number with Tests/Benchmarks/run --renew and say in the commit what it buys"
        )
    if found.instructions < stored / TOLERANCE:
        summary += "; more than 3 % below: store the new number with Tests/Benchmarks/run --renew"
    return summary


def check_signed(stage, without):
    parts = []
    for kind, found, more_max in zip(
        ("seen before", "never seen"),
        callgrind.count_signed(stage),
        (callgrind.SEEN_MORE_MAX, callgrind.NEW_MORE_MAX),
    ):
        more = found.instructions - without
        forbid_allocations(f"a signed token that was {kind}", found)
        if more > more_max:
            raise Failure(
                f"a signed token that was {kind} takes {more:,.0f} instructions more than a token in a policy file, and may take "
                f"{more_max:,}. Find the added work, from SignedAdmission.swift on"
            )
        parts.append(f"{more:,.0f} more if {kind}")
    return f"signed tokens: {', '.join(parts)}"


def forbid_allocations(name, found):
    if found.allocations > ALLOCATIONS_MAX:
        raise Failure(f"{name}: {found.allocations:.2f} allocations per request on a loop; there must be none")


def renew(stage):
    found = {name: round(count(stage, case).instructions) for name, case in CASES.items()}
    STORED.write_text(json.dumps(found, indent=2) + "\n")
    return f"{STORED.name}: " + ", ".join(f"{name} {number:,}" for name, number in found.items())
