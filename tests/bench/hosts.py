"""Hosts for the benches: OpenSSH servers on this machine, each with its own host key's entry and its own /var/lib/keybook.

The login is root, in a mount namespace where its home is empty and its shell is /bin/sh: shell start-up files would cost every
program the same time a command, and hide the differences. A delay is made by a relay in this process that holds
back every chunk of bytes for half of it, in both directions. It is no model of a network: connecting costs no delay, and
nothing is lost or reordered. (The kernel's netem would be better and is not there on every machine.)
"""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

USER = "root"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Relay:
    """Delays everything between a port of its own and another one."""

    def __init__(self, ports, round_trip_ms):
        self.half = round_trip_ms / 2000
        self.ports = []
        self.ready = threading.Event()
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self._run, args=(ports,), daemon=True).start()
        self.ready.wait()

    def _run(self, ports):
        asyncio.set_event_loop(self.loop)

        async def begin():
            for port in ports:
                server = await asyncio.start_server(lambda r, w, port=port: self._serve(r, w, port), "127.0.0.1", 0)
                self.ports.append(server.sockets[0].getsockname()[1])
            self.ready.set()

        self.loop.create_task(begin())
        self.loop.run_forever()

    async def _serve(self, reader, writer, port):
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        for stream in (writer, inner_writer):
            stream.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.gather(self._pump(reader, inner_writer), self._pump(inner_reader, writer))

    async def _pump(self, reader, writer):
        def deliver(chunk):
            if writer.is_closing():
                return
            if chunk:
                writer.write(chunk)
            else:
                writer.close()

        try:
            while True:
                chunk = await reader.read(65536)
                self.loop.call_later(self.half, deliver, chunk)
                if not chunk:
                    return
        except OSError:
            self.loop.call_later(self.half, deliver, b"")

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)


class Hosts:
    """So many servers; they end with `stop`."""

    def __init__(self, count, round_trip_ms=0):
        self.user = USER
        self.folder = tempfile.mkdtemp(prefix="keybook-bench-")
        os.chmod(self.folder, 0o755)
        self.key = f"{self.folder}/user"
        for name in ("user", "host"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{self.folder}/{name}"], check=True)
        os.makedirs("/run/sshd", exist_ok=True)
        os.makedirs("/var/lib/keybook", exist_ok=True)
        shutil.copy(f"{self.key}.pub", f"{self.folder}/authorized_keys")
        os.makedirs(f"{self.folder}/home")
        with open("/etc/passwd") as all_users, open(f"{self.folder}/passwd", "w") as users:
            for line in all_users:
                users.write(f"root:x:0:0::{self.folder}/home:/bin/sh\n" if line.startswith("root:") else line)
        self.children = []
        ports = [self._start(number) for number in range(count)]
        for port in ports:
            self._wait_for(port)
        self.relay = Relay(ports, round_trip_ms) if round_trip_ms else None
        self.ports = self.relay.ports if self.relay else ports
        self.known_hosts = f"{self.folder}/known_hosts"
        with open(f"{self.folder}/host.pub") as public, open(self.known_hosts, "w") as known:
            key = " ".join(public.read().split()[:2])
            for port in self.ports:
                known.write(f"[127.0.0.1]:{port} {key}\n")

    def _start(self, number):
        port = free_port()
        own = f"{self.folder}/{number}"
        os.makedirs(f"{own}/state")
        with open(f"{own}/config", "w") as config:
            config.write(
                f"Port {port}\nListenAddress 127.0.0.1\nHostKey {self.folder}/host\nPidFile none\n"
                f"AuthorizedKeysFile {self.folder}/authorized_keys\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nUseDNS no\n"
                "PasswordAuthentication no\nKbdInteractiveAuthentication no\nMaxStartups 1000\nPrintMotd no\n"
                "Subsystem sftp /usr/lib/openssh/sftp-server\n"
            )
        script = 'mount --bind "$1/state" /var/lib/keybook; mount --bind "$1/../passwd" /etc/passwd; exec /usr/sbin/sshd -D -e -f "$1/config" 2>"$1/log"'
        child = subprocess.Popen(["unshare", "-m", "sh", "-e", "-c", script, "sh", own], start_new_session=True)
        self.children.append(child)
        return port

    @staticmethod
    def _wait_for(port):
        patience = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                if time.monotonic() > patience:
                    raise
                time.sleep(0.02)

    def stop(self):
        if self.relay:
            self.relay.stop()
        for child in self.children:
            os.killpg(child.pid, signal.SIGTERM)
        for child in self.children:
            child.wait()
        shutil.rmtree(self.folder)
