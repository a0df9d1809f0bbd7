"""What a local step is made of: the programs that it starts, the syncs, and what each of them takes alone."""

import collections
import os
import re
import shutil
import statistics
import subprocess
import tempfile

from local import runbook
from measure import once

FEW, MANY = 50, 150
"""Two runs of so many steps: what differs between them is the steps'."""

ALONE = {
    "sh": "/bin/sh -c :",
    "head": "head -c 0",
    "mkfifo": "mkfifo -m 600 -- {0}/fifo",
    "tee": "tee /dev/null",
    "setsid": "setsid true",
    "ln": "ln -T -- {0}/file {0}/link",
    "rm": "rm -f -- {0}/fifo {0}/link",
    "sync": "sync -- {0}/file",
    "sleep": "sleep 0",
    "keybook": None,
}
"""How each program is timed alone, 200 times in one loop."""


def run(binary, folder, steps, tracer=()):
    state = tempfile.mkdtemp(prefix="state-", dir=folder)
    env = {"XDG_STATE_HOME": state}
    command = [binary, "run", f"{folder}/book-{steps}", "--inventory", f"{folder}/inventory.yaml", "--unattended", "--quiet"]
    return once([*tracer, *command], env)


def counted(binary, folder, steps):
    """How often each program was started, processes were made, and files synced, in a run of so many steps."""
    traces = tempfile.mkdtemp(prefix="trace-", dir=folder)
    calls = "execve,clone,clone3,fork,vfork,fsync,fdatasync,syncfs,sync"
    run(binary, folder, steps, ("strace", "-ff", "-qq", "-e", f"trace={calls}", "-e", "signal=none", "-o", f"{traces}/of"))
    seen = collections.Counter()
    for trace in os.scandir(traces):  # of one process each, so that no call is cut in two by another's
        for line in open(trace, errors="replace"):
            call = re.match(r"(\w+)", line)
            if not call or not re.search(r"= \d+$", line.rstrip()):
                continue
            if call[1] == "execve" and (program := re.search(r'execve\("([^"]*)"', line)):
                seen[("start", os.path.basename(program[1]))] += 1
            elif call[1] in ("clone", "clone3", "fork", "vfork") and "CLONE_THREAD" not in line:
                seen["processes"] += 1
            elif "sync" in call[1]:
                seen["syncs"] += 1
    return seen


def alone(folder):
    """Milliseconds of each program by itself, its start included, less the loop's own."""
    open(f"{folder}/file", "w").close()
    took = {}
    for name, command in ALONE.items():
        if command:
            line = f"i=0; while [ $i -lt 200 ]; do {command.format(folder)} </dev/null >/dev/null 2>&1; i=$((i + 1)); done"
            took[name] = min(once(["/bin/sh", "-c", line], dict(os.environ)) for _ in range(3)) * 5
    return took


def table(binary):
    folder = tempfile.mkdtemp(prefix="keybook-bench-")
    try:
        for steps in (FEW, MANY):
            runbook(f"{folder}/book-{steps}", steps)
        with open(f"{folder}/inventory.yaml", "w") as file:
            file.write("keybook: 1\ncluster: bench\nhosts: {}\ngroups: {}\n")
        each = MANY - FEW
        turns = [(run(binary, folder, MANY) - run(binary, folder, FEW)) / each * 1000 for _ in range(5)]
        few, many = counted(binary, folder, FEW), counted(binary, folder, MANY)
        per_step = {what: (many[what] - few[what]) / each for what in many}
        costs = alone(folder)
        print("| what | a step | ms each, alone | ms a step |\n|---|---|---|---|")
        started = sorted((name[1] for name in per_step if name[0] == "start"), key=lambda name: -per_step[("start", name)])
        total = 0.0
        for name in started:
            often = per_step[("start", name)]
            if often < 0.05:
                continue
            cost = costs.get(name)
            total += often * (cost or 0)
            shown = (f"{cost:.2f}", f"{often * cost:.2f}") if cost else ("", "")
            print(f"| `{name}` | {often:.2f} | {shown[0]} | {shown[1]} |")
        print(f"| all of these, one after the other | | | {total:.2f} |")
        print(f"| processes made | {per_step['processes']:.2f} | | |")
        print(f"| syncs | {per_step['syncs']:.2f} | | |")
        print(f"| **a step, measured** (median of 5) | | | {statistics.median(turns):.2f} |")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
