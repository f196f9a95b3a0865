"""The table, as Markdown and in the README between two marks."""

import os
import platform
import re
import subprocess
from pathlib import Path

from process import Failure

BEGIN = "<!-- Written by Tests/Benchmarks/run --write-readme: begin -->"
END = "<!-- Written by Tests/Benchmarks/run --write-readme: end -->"
COLUMNS = ("measure", "to reach", "gateway", "H", "nginx", "ratio", "reached")


def markdown(results, rounds):
    lines = [" | ".join(COLUMNS), "|".join(["---"] * len(COLUMNS))]
    for result in results:
        reached = "yes" if result.reached else "**no**"
        ratio = str(result.ratio) if result.ratio else ""
        cells = (result.measure, result.reach, result.gateway, result.against, result.nginx, ratio, reached)
        lines.append(" | ".join(cells))
    table = "\n".join(f"| {line} |" if " | " in line else f"|{line}|" for line in lines)
    return f"{table}\n\n{conditions(rounds)}"


def conditions(rounds):
    return (
        f"H is HAProxy {version(['haproxy', '-v'])}, beside it nginx {version(['nginx', '-v'])} with the tokens in plain: it "
        f"has no SHA-256. {rounds.count} interleaved rounds of {rounds.seconds:g} s; the ratio is the median over the rounds, and "
        f"in brackets lies the middle half of them. {processor()}, Linux {platform.release().split('-')[0]}, load "
        f"{os.getloadavg()[2]:.1f} over the last quarter of an hour."
    )


def version(command):
    result = subprocess.run(command, capture_output=True, text=True, timeout=20)
    found = re.search(r"\d+\.\d+\.\d+", result.stdout + result.stderr)
    return found.group(0) if found else "of unknown version"


def processor():
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return f"{os.cpu_count()} cores ({found.group(1) if found else platform.machine()})"


def write_readme(path, text):
    readme = path.read_text()
    if readme.count(BEGIN) != 1 or readme.count(END) != 1:
        raise Failure(f"{path} does not have the two marks that the table stands between:\n{BEGIN}\n{END}")
    head, rest = readme.split(BEGIN)
    path.write_text(f"{head}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")
