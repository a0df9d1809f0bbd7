"""What needs no other host: a thousand local steps, validate of as many, start-up."""

import os
import shutil
import tempfile

from measure import in_turn, memory

STEPS = 1000
HEAD = "keybook: 1\nname: bench\nversion: 1.0.0\ntitle: A thousand steps\nhosts: {}\nsteps:\n"


def runbook(folder, count):
    os.makedirs(folder)
    with open(f"{folder}/runbook.yaml", "w") as file:
        file.write(HEAD)
        for number in range(count):
            file.write(f"  - {{ id: step-{number}, sh.run: {{ script: 'true', changes: false }} }}\n")
    return folder


def syncs(path, count):
    """A program that appends and syncs as often as the run syncs its journal."""
    with open(path, "w") as file:
        file.write(
            "import os, sys\n"
            "file = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY | os.O_APPEND)\n"
            f"for _ in range({count}):\n"
            "    os.write(file, b'x' * 400)\n"
            "    os.fdatasync(file)\n"
        )
    return path


def tables(binary):
    folder = tempfile.mkdtemp(prefix="keybook-bench-")
    try:
        book, inventory = runbook(f"{folder}/book", STEPS), f"{folder}/inventory.yaml"
        with open(inventory, "w") as file:
            file.write("keybook: 1\ncluster: bench\nhosts: {}\ngroups: {}\n")
        env = {"XDG_STATE_HOME": f"{folder}/state"}
        spawn = "for number in $(seq 1000); do /bin/sh -c true; done"
        commands = {
            "keybook run": [binary, "run", book, "--inventory", inventory, "--unattended", "--quiet"],
            "/bin/sh, 1000 times": ["/bin/sh", "-c", spawn],
            "2000 synced appends": ["python3", syncs(f"{folder}/syncs.py", 2 * STEPS), f"{folder}/appended"],
            "keybook validate": [binary, "validate", book, "--quiet"],
            "keybook --version": [binary, "--version"],
        }
        print("| what | first | median |\n|---|---|---|")
        for name, (first, median) in in_turn(commands, env).items():
            print(f"| {name} | {first * 1000:.1f} ms | {median * 1000:.1f} ms |", flush=True)
        print(f"\nKeybook's memory with {STEPS} steps: {memory(commands['keybook run'], env):.0f} MiB")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
