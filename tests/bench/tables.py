"""Prints the tables. See `run`."""

import shutil
import sys
import tempfile

import certs
import local
import peers
import steps
from hosts import Hosts
from measure import in_turn, memory


def ssh_table(binary, counts, delays, names):
    print("Four commands on every host: first time / median of three more, in seconds. Ratio: Keybook's median by that one's.\n")
    print("| hosts | round trip | program | first | median | ratio |\n|---|---|---|---|---|---|")
    for delay in delays:
        for count in counts:
            hosts, folder = Hosts(count, delay), tempfile.mkdtemp(prefix="keybook-bench-")
            try:
                commands, env = {}, {"XDG_STATE_HOME": f"{folder}/state"}
                commands["keybook"] = peers.keybook(binary, folder, hosts)
                commands |= {name: make(sys.executable, folder, hosts) for name, make in peers.PEERS.items() if not names or name in names}
                times = in_turn(commands, env)
                own = times["keybook"][1]
                for name, (first, median) in times.items():
                    print(f"| {count} | {delay} ms | {name} | {first:.2f} | {median:.2f} | {own / median:.2f} |", flush=True)
                if count == max(counts):
                    print(f"\nKeybook's memory with {count} hosts: {memory(commands['keybook'], env):.0f} MiB\n", flush=True)
            finally:
                hosts.stop()
                shutil.rmtree(folder, ignore_errors=True)


def main():
    binary, what, *numbers = [*sys.argv[1:], "all"][:2] + sys.argv[3:]
    if what in ("all", "ssh"):
        counts = [int(numbers[0])] if numbers else [1, 10, 50, 100]
        delays = [int(numbers[1])] if len(numbers) > 1 else [0, 20]
        ssh_table(binary, counts, delays, numbers[2:])
    if what in ("all", "local"):
        local.tables(binary)
    if what in ("all", "certs"):
        certs.table(binary)
    if what in ("all", "profile"):
        steps.table(binary)


main()
