"""Debian's nginx for tests, with one site of ours and nothing else."""

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mirrors import wait_until

USER = "www-data"
_MAIN = """
load_module /usr/lib/nginx/modules/ngx_http_dav_ext_module.so;
user {user};
daemon off;
pid {folder}/nginx.pid;
events {{ }}
http {{
    access_log {folder}/access.log;
    include {site};
}}
"""


@contextmanager
def folder_for_nginx() -> Iterator[Path]:
    """A folder that nginx's user can reach, as it cannot reach pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="nightdrop-nginx-", dir="/var/tmp"))
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def nginx(folder: Path, site: Path, address: str, port: int) -> Iterator[None]:
    """nginx as Debian runs it: a master that is root, workers that are not."""
    main, errors = folder / "nginx.conf", folder / "error.log"
    main.write_text(_MAIN.format(user=USER, folder=folder, site=site))
    command = ["nginx", "-c", str(main), "-p", str(folder), "-e", str(errors)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:

        def answers() -> bool:
            assert process.poll() is None, process.stderr and process.stderr.read()
            with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as sock:
                return sock.connect_ex((address, port)) == 0

        try:
            wait_until(answers, f"nginx answers: {errors.read_text() if errors.exists() else ''}")
            yield
        finally:
            process.terminate()
    for line in errors.read_text().splitlines():
        assert not any(word in line for word in ("[emerg]", "[alert]", "[crit]")), line
