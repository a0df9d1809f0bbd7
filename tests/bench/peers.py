"""What is timed: four commands on every host, by Keybook and by its peers. Each makes its files in a folder and gives the
command to time. Each gets as many workers as there are hosts.
Host keys are checked by Keybook, ssh and ansible; parallel-ssh and pyinfra cannot, or are told not to, which favours them."""

import os

COMMANDS = ["echo one", "echo two", "echo three", "echo four"]


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, mode)
    return path


def keybook(binary, folder, hosts):
    """Fsynced journal, receipts on the hosts, lock on the hosts, preflight: nothing of it can be switched off."""
    steps = "".join(
        f"  - id: step-{number}\n    hosts: all\n    order: parallel\n"
        f"    sh.run: {{ script: {command}, changes: true }}\n    undo: {{ sh.run: {{ script: 'true' }} }}\n"
        for number, command in enumerate(COMMANDS, 1)
    )
    book = write(
        f"{folder}/book/runbook.yaml",
        "keybook: 1\nname: bench\nversion: 1.0.0\ntitle: Four commands on every host\n"
        f"hosts:\n  all: {{ min: 1, help: every host }}\nsteps:\n{steps}",
    )
    entries = "".join(
        f"  host-{number}: {{ address: 127.0.0.1, port: {port}, user: {hosts.user}, key: {hosts.key}, "
        f"known_hosts: [{hosts.known_hosts}] }}\n"
        for number, port in enumerate(hosts.ports, 1)
    )
    names = ", ".join(f"host-{number}" for number in range(1, len(hosts.ports) + 1))
    inventory = write(f"{folder}/inventory.yaml", f"keybook: 1\ncluster: bench\nhosts:\n{entries}groups:\n  all: [{names}]\n")
    return [binary, "run", os.path.dirname(book), "--inventory", inventory, "--unattended", "--parallel", str(len(hosts.ports))]


def parallel_ssh(python, folder, hosts):
    """One client for all hosts, in one process; each command waits for the one before on every host."""
    return [python, write(
        f"{folder}/by_parallel_ssh.py",
        "from pssh.clients import ParallelSSHClient\n"
        "from pssh.config import HostConfig\n"
        f"ports = {hosts.ports!r}\n"
        f"configs = [HostConfig(port=port, user={hosts.user!r}, private_key={hosts.key!r}) for port in ports]\n"
        "client = ParallelSSHClient(['127.0.0.1'] * len(ports), host_config=configs, pool_size=len(ports))\n"
        f"for command in {COMMANDS!r}:\n"
        "    output = client.run_command(command)\n"
        "    client.join(output)\n"
        "    for host in output:\n"
        "        assert list(host.stdout) == [command.split()[1]] and host.exit_code == 0\n",
    )]


def pyinfra(python, folder, hosts):
    entries = "".join(f"    ('host-{n}', {{'ssh_hostname': '127.0.0.1', 'ssh_port': {port}, 'ssh_user': {hosts.user!r}, "
                      f"'ssh_key': {hosts.key!r}, 'ssh_strict_host_key_checking': 'off'}}),\n" for n, port in enumerate(hosts.ports, 1))
    inventory = write(f"{folder}/inventory.py", f"hosts = [\n{entries}]\n")
    calls = "".join(f"server.shell(name={command!r}, commands=[{command!r}])\n" for command in COMMANDS)
    deploy = write(f"{folder}/deploy.py", f"from pyinfra.operations import server\n{calls}")
    return [f"{os.path.dirname(python)}/pyinfra", "-y", "--parallel", str(len(hosts.ports)), inventory, deploy]


def ansible(module):
    def command(python, folder, hosts):
        lines = "".join(f"host-{n} ansible_host=127.0.0.1 ansible_port={port}\n" for n, port in enumerate(hosts.ports, 1))
        inventory = write(f"{folder}/inventory.ini", f"[all]\n{lines}[all:vars]\nansible_user={hosts.user}\n"
                          f"ansible_ssh_private_key_file={hosts.key}\nansible_python_interpreter=/usr/bin/python3\n"
                          f"ansible_ssh_common_args=-o UserKnownHostsFile={hosts.known_hosts}\n"
                          "ansible_remote_tmp=/tmp/keybook-bench-ansible-\n")
        tasks = "".join(f"    - ansible.builtin.{module}: {command}\n" for command in COMMANDS)
        play = write(f"{folder}/play.yaml", f"- hosts: all\n  gather_facts: false\n  tasks:\n{tasks}")
        return [f"{os.path.dirname(python)}/ansible-playbook", "-f", str(len(hosts.ports)), "-i", inventory, play]
    return command


def plain_ssh(_python, folder, hosts):
    """A login a host, all four commands in it."""
    options = f"-i {hosts.key} -o UserKnownHostsFile={hosts.known_hosts} -o BatchMode=yes -l {hosts.user}"
    ports = " ".join(map(str, hosts.ports))
    return ["sh", write(
        f"{folder}/ssh.sh",
        f"printf '%s\\n' {ports} | xargs -P {len(hosts.ports)} -I PORT ssh {options} -p PORT 127.0.0.1 '{'; '.join(COMMANDS)}'\n",
    )]


PEERS = {
    "parallel-ssh": parallel_ssh,
    "pyinfra": pyinfra,
    "ssh, one login a host": plain_ssh,
    "ansible raw": ansible("raw"),
    "ansible command": ansible("command"),
}
