"""The table of results as Markdown, its excerpt for the top README, and the files that hold both."""

import os
import platform
import re
import subprocess
from pathlib import Path

import plot
from process import Failure
from stage import ENVOY, HAPROXY_28

BEGIN = "<!-- Written by Tests/Benchmarks/run --write-readme: begin -->"
END = "<!-- Written by Tests/Benchmarks/run --write-readme: end -->"
COLUMNS = ("measure", "goal", "gateway", "HAProxy", "nginx", "ratio", "met")
NEWER_COLUMNS = ("measure", "gateway", "HAProxy", "HAProxy 2.8", "Envoy")
EXCERPT_COLUMNS = ("measure", "gateway", "HAProxy", "nginx")
EXCERPT = (
    "CPU per request: GET, 64 connections",
    "CPU per request: POST of 250 bytes, 64 connections",
    "CPU per request: HTTPS to the instances, keep-alive",
    "99th percentile latency: open loop, 8,000 requests/s",
    "additional memory: 5,000 idle connections",
)


def markdown(results, rounds, stage):
    rows = [
        (result.measure, result.goal, result.gateway, result.reference, result.nginx, result.ratio or "", met(result))
        for result in results
    ]
    newer = [
        (result.measure, result.gateway, result.reference, result.newer[HAPROXY_28], result.newer[ENVOY])
        for result in results
        if result.newer
    ]
    parts = [render(COLUMNS, rows), conditions(rounds)]
    if newer:
        parts += [newer_peers(stage), render(NEWER_COLUMNS, newer)]
    return "\n\n".join(parts)


def met(result):
    return "yes" if result.met else "**no**"


def render(columns, rows):
    lines = [" | ".join(columns), "|".join(["---"] * len(columns)), *(" | ".join(map(str, row)) for row in rows)]
    return "\n".join(f"| {line} |" if " | " in line else f"|{line}|" for line in lines)


def parse(text):
    """The rows of the first table that `markdown` wrote, each as a dictionary by column."""
    lines = [line for line in text.strip().split("\n\n")[0].splitlines() if line.startswith("| ")]
    return [dict(zip(COLUMNS, (cell.strip() for cell in line[1:-1].split("|")), strict=True)) for line in lines[1:]]


def excerpt(text):
    rows = {row["measure"]: row for row in parse(text)}
    return render(EXCERPT_COLUMNS, [[rows[measure][column] for column in EXCERPT_COLUMNS] for measure in EXCERPT])


def conditions(rounds):
    return (
        f"HAProxy {version(['haproxy', '-v'])} and nginx {version(['nginx', '-v'])} do the same job, except that nginx holds "
        f"the tokens in plain text, because it has no SHA-256. \"Own\" marks a figure of the gateway itself. "
        f"{rounds.count} interleaved rounds of {rounds.seconds:g} s; the ratio is the median over the rounds, with their "
        f"middle half in parentheses. {processor()}, Linux {platform.release().split('-')[0]}, 15-minute load average "
        f"{os.getloadavg()[2]:.1f}."
    )


def newer_peers(stage):
    haproxy, envoy = (stage.newer_programs[name] for name in (HAPROXY_28, ENVOY))
    return (
        f"Newer peers in the same rounds, each figure with its ratio to HAProxy {version(['haproxy', '-v'])}. HAProxy "
        f"{version([haproxy, '-v'])} does the same job. Envoy {version([envoy, '--version'])} has one worker. It leaves out: "
        f"digests (it holds the tokens in plain text, because none of its filters compares digests of them), different error "
        f"texts for a missing scope and a forbidden instance, and the exact query (it sorts and decodes what is left after "
        f"`instance_id` is removed)."
    )


def version(command):
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=20)
    found = re.search(r"\d+\.\d+\.\d+", result.stdout + result.stderr)
    return found.group(0) if found else "of unknown version"


def processor():
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return f"{os.cpu_count()} cores ({found.group(1) if found else platform.machine()})"


# MARK: Files


def outputs(top, text):
    """The content of every file that shows the table, by path, with `text` as the table."""
    readme, benchmarks, svg = top / "README.md", top / "Tests/Benchmarks/README.md", top / "Tests/Benchmarks/cpu.svg"
    return {
        benchmarks: replaced(benchmarks, text),
        readme: replaced(readme, excerpt(text)),
        svg: plot.svg(parse(text)),
    }


def write(top, text):
    for path, content in outputs(top, text).items():
        path.write_text(content)


def stored(top):
    """The table as Tests/Benchmarks/README.md has it."""
    return parts(top / "Tests/Benchmarks/README.md")[1].strip("\n")


def replaced(path, text):
    head, _, tail = parts(path)
    return f"{head}{BEGIN}\n{text}\n{END}{tail}"


def parts(path):
    content = path.read_text()
    if content.count(BEGIN) != 1 or content.count(END) != 1:
        raise Failure(f"{path}: each of these two markers must occur exactly once:\n{BEGIN}\n{END}")
    head, rest = content.split(BEGIN)
    return head, *rest.split(END)
