"""Runs all checks against one gateway; ends with exit code 1 and the cause at the first fault."""

import contextlib
import signal
import sys
import tempfile
import time
from pathlib import Path

from libraries import CHECKS
from load import forged_costs_no_more
from stage import Fault, Stage


def main():
    # Leaves the "with" below, which stops the processes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        stage = Stage(Path(folder), Path(sys.argv[1]).resolve(), stack)
        if not stage.has_code_command:
            print('SKIPPED: this gateway has no command "oauth code": Tests/OAuthClients/signed.py makes the codes')
        for check in [*CHECKS, forged_costs_no_more]:
            start = time.monotonic()
            try:
                check(stage)
            except Exception as fault:
                log = (Path(folder) / "serve.log").read_text()
                sys.exit(f"error: does not hold: {check.__doc__}: {type(fault).__name__}: {fault}\n{log}")
            print(f"{' '.join(check.__doc__.split())} ({time.monotonic() - start:.1f} s)", flush=True)


if __name__ == "__main__":
    try:
        main()
    except Fault as fault:
        sys.exit(f"error: {fault}")
