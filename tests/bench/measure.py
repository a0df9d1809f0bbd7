"""Times a command, and the memory of its largest process."""

import os
import statistics
import subprocess
import time


class Failed(Exception):
    """The command did not do what is timed."""


def once(command, env):
    """Seconds."""
    begun = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
    output, _ = child.communicate()
    took = time.monotonic() - begun
    if child.returncode != 0:
        raise Failed(f"{' '.join(command)} ended with {child.returncode}:\n{output[-2000:]}")
    return took


def in_turn(commands, env=None, times=3):
    """Several commands by name, one after the other and again, so that what the machine does otherwise hits all of them alike.
    The first time, and the median of the others, of each."""
    env = {**os.environ, **(env or {})}
    took = {name: [] for name in commands}
    for _ in range(times + 1):
        for name, command in commands.items():
            took[name].append(once(command, env))
    return {name: (all_times[0], statistics.median(all_times[1:])) for name, all_times in took.items()}


def memory(command, env=None):
    """The largest resident memory of a command, in MiB."""
    script = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )
    output = subprocess.run(
        ["python3", "-c", script, *command], check=True, capture_output=True, text=True, env={**os.environ, **(env or {})}
    )
    return int(output.stdout) / 1024
