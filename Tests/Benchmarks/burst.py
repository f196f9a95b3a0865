"""Holds the gateway's memory after usual load and after a burst to bounds."""

import time

from process import Failure, resident_bytes
from stage import ALL_CORES

MEGABYTE = 1e6
# More than when it was idle: after a second of load, and once the gateway has been quiet after a burst.
LOAD_CONNECTIONS, LOAD_GROWTH_MAX = 64, 6
BURST_CONNECTIONS, BURST_GROWTH_MAX = 2000, 30
QUIET_SECONDS_MAX = 15


def check(stage):
    with stage.gateway(cores=ALL_CORES) as gateway:
        idle = resident_bytes(gateway.pid)
        stage.load(gateway, ["--connections", LOAD_CONNECTIONS, "--warm-up", 0.2, "--seconds", 1], ALL_CORES)
        loaded = growth(gateway, idle)
        if loaded > LOAD_GROWTH_MAX:
            raise Failure(
                f"after a second of load with {LOAD_CONNECTIONS} connections, the gateway has {loaded:.1f} MB more than before; "
                f"at most {LOAD_GROWTH_MAX} MB are allowed. Find what it keeps for each connection to an instance"
            )
        stage.load(gateway, ["--connections", BURST_CONNECTIONS, "--warm-up", 0.5, "--seconds", 0.5], ALL_CORES)
        burst = growth(gateway, idle)
        began = time.monotonic()
        while growth(gateway, idle) > BURST_GROWTH_MAX:
            if time.monotonic() > began + QUIET_SECONDS_MAX:
                raise Failure(
                    f"{QUIET_SECONDS_MAX} s after {BURST_CONNECTIONS:,} requests at once, the gateway has "
                    f"{growth(gateway, idle):.1f} MB more than before; at most {BURST_GROWTH_MAX} MB are allowed. "
                    f"See releaseBurstMemory in Server.swift"
                )
            time.sleep(0.1)
        quiet = growth(gateway, idle)
        return (
            f"memory: {loaded:.1f} MB more than idle after a second of load, {burst:.1f} MB after {BURST_CONNECTIONS:,} "
            f"requests at once, {quiet:.1f} MB {time.monotonic() - began:.0f} s later"
        )


def growth(gateway, idle):
    return (resident_bytes(gateway.pid) - idle) / MEGABYTE
