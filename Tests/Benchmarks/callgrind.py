"""Counts user instructions and allocations per request with callgrind; a busy machine gives the same counts."""

import subprocess
from dataclasses import dataclass

from process import Failure
from stage import ENTRIES

REQUESTS = 6000
LOAD = ["--connections", 16, "--warm-up", 3, "--requests", REQUESTS]
# A loop keeps 2,048 signed tokens in sets of four; with more clients than this, one set may be too small, by chance.
SIGNED_CLIENTS = 64
# How many instructions more than a token of a policy file a signed token may take. The two blocks of SHA-256 that verify
# a new one take 4,980.
SEEN_MORE_MAX, NEW_MORE_MAX = 300, 8_000
# Less than any verification takes.
VERIFICATION_MIN = 1000
ALLOCATORS = {"malloc", "calloc", "realloc", "aligned_alloc", "posix_memalign", "memalign"}


@dataclass(frozen=True)
class Counts:
    instructions: float  # per request, of all threads
    allocations: float  # per request, of the loops only: not of the thread that writes the log


def count(stage, entries=ENTRIES, targets=None, settings=None, flags=()):
    """Runs the gateway under callgrind and counts over requests in its steady state only.

    The requests go to one instance, to which the warm-up opens all connections, so that the count includes no connect. If
    `targets` go to more instances, the count includes a few connects.
    """
    output = stage.new_folder("callgrind")
    under = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={output}", "--instr-atstart=no"]
    with stage.gateway(under=[*under, "--separate-threads=yes"], entries=entries, settings=settings) as proxy:
        with stage.gated_load(proxy, [*LOAD, *flags, "--targets", targets or proxy.data.narrow]) as go:
            instrument(proxy, "on")
            go()
            instrument(proxy, "off")
    # One per thread, written when the thread ends.
    profiles = [Profile(path) for path in output.parent.glob(f"{output.name}*")]
    loops = [profile for profile in profiles if "epoll_wait" in profile.callees]
    instructions = sum(profile.instructions for profile in profiles)
    if not loops or not instructions:
        raise Failure(f"callgrind did not see the loops; it wrote {len(profiles)} profiles")
    allocations = sum(profile.allocations for profile in loops)
    return Counts(instructions / REQUESTS, allocations / REQUESTS)


def count_signed(stage):
    """The same with signed tokens: those that the gateway has seen, and another one in each request."""
    signed = stage.signed(stage.data().narrow, SIGNED_CLIENTS)
    seen, new = (count(stage, targets=targets, settings=signed.settings) for targets in (signed.seen, signed.new))
    if new.instructions < seen.instructions + VERIFICATION_MIN:
        raise Failure(
            f"signed tokens take {seen.instructions:,.0f} instructions when seen before and {new.instructions:,.0f} when "
            "new: the new ones were not all new; see NEW_TOKENS in signing.py"
        )
    return seen, new


def instrument(proxy, switch):
    result = subprocess.run(
        ["callgrind_control", "--instr=" + switch, str(proxy.pid)], capture_output=True, text=True, timeout=120
    )
    if result.returncode != 0:
        raise Failure(f"callgrind_control cannot switch {switch}:\n{result.stdout}{result.stderr}")


class Profile:
    """One thread's file, in callgrind's format: https://valgrind.org/docs/manual/cl-format.html."""

    def __init__(self, path):
        self.instructions = 0
        self.allocations = 0  # calls of an allocator by another function
        self.callees = set()
        self.names = {}
        caller = callee = ""
        for line in path.read_text().splitlines():
            if line.startswith("fn="):
                caller = self.name(line[3:])
            elif line.startswith("cfn="):
                callee = self.name(line[4:])
                self.callees.add(callee)
            elif line.startswith("calls=") and callee in ALLOCATORS and caller not in ALLOCATORS:
                self.allocations += int(line[6:].split()[0])
            elif line.startswith("totals: "):
                self.instructions += int(line[8:])

    def name(self, text):
        """A name appears once after its number, "(12) malloc", and from then on as "(12)"."""
        number, _, rest = text.partition(" ")
        if rest:
            self.names[number] = rest
        return self.names.get(number, text)
