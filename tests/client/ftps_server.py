"""An FTPS server for tests: pyftpdlib, which Debian packages, as a process of its own.

Runs with the system's Python: `python3 ftps_server.py FOLDER USER CERTIFICATE MODE`, where MODE is
explicit or implicit; USER's password comes on standard input. Prints its port. Insists on TLS for
commands and data; says on standard error what it did.
"""

import logging
import sys

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import TLS_FTPHandler
from pyftpdlib.servers import FTPServer


class Explicit(TLS_FTPHandler):
    """TLS after AUTH TLS, and nothing without."""

    tls_control_required = True
    tls_data_required = True


class Implicit(Explicit):
    """TLS from the first octet."""

    def handle(self):
        self.secure_connection(self.ssl_context)

    def handle_ssl_established(self):
        super().handle()


def main():
    folder, user, certificate, mode = sys.argv[1:]
    logging.basicConfig(level=logging.INFO)
    handler = Explicit if mode == "explicit" else Implicit
    handler.certfile = certificate
    handler.authorizer = DummyAuthorizer()
    handler.authorizer.add_user(user, sys.stdin.readline().rstrip("\n"), folder, perm="elr")
    server = FTPServer(("127.0.0.1", 0), handler)
    print(server.socket.getsockname()[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
