"""`keybook certs` on a few thousand files, beside openssl and cfssl, which read one file a start."""

import os
import shutil
import subprocess
import tempfile

from measure import in_turn, memory

FILES = 2000


def files(folder):
    """Certificates with their keys beside them, as a node keeps them, a hundred in each folder."""
    made, key = f"{folder}/made.pem", f"{folder}/made.key"
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "100"]
    names = ["-subj", "/O=system:nodes/CN=system:node:a", "-addext", "subjectAltName=DNS:a,IP:10.0.0.1"]
    subprocess.run([*request, *names, "-keyout", key, "-out", made], check=True, capture_output=True)
    for number in range(FILES):
        place = f"{folder}/pki/{number // 100}"
        os.makedirs(place, exist_ok=True)
        shutil.copy(made, f"{place}/{number}.crt")
        shutil.copy(key, f"{place}/{number}.key")
    return f"{folder}/pki"


def table(binary):
    folder = tempfile.mkdtemp(prefix="keybook-bench-")
    try:
        place = files(folder)
        find = ["find", place, "-name", "*.crt", "-exec"]
        commands = {
            "keybook certs": [binary, "certs", place, "--format", "json"],
            "openssl x509, each file": [*find, "openssl", "x509", "-noout", "-subject", "-issuer", "-dates", "-in", "{}", ";"],
            "cfssl certinfo, each file": [*find, "cfssl", "certinfo", "-cert", "{}", ";"],
        }
        times = in_turn(commands, times=2)
        own = times["keybook certs"][1]
        print(f"| {FILES} certificates and their keys | first | median | ratio |\n|---|---|---|---|")
        for name, (first, median) in times.items():
            print(f"| {name} | {first:.2f} s | {median:.2f} s | {own / median:.3f} |", flush=True)
        print(f"\nKeybook's memory: {memory(commands['keybook certs']):.0f} MiB")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
