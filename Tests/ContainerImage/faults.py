"""How a check fails."""

import time


class Fault(Exception):
    pass


def until(condition, seconds, fault):
    """Waits for a true result of `condition` and returns it."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise Fault(fault() if callable(fault) else fault)
        time.sleep(0.02)


def require(condition, fault):
    if not condition:
        raise Fault(fault)
