"""A mirror whose line stands still: a vault over HTTP that gives only half of some files, and waits."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote


@contextmanager
def stalling(vault: Path, stalls: Callable[[str], bool]) -> Iterator[str]:
    """Its address, while the block lasts. Only the first half comes of a file whose name `stalls`."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_PROPFIND(self) -> None:
            folder = vault / unquote(self.path).strip("/")
            base = self.path.rstrip("/")
            listed = "".join(
                f"<D:response><D:href>{base}/{path.name}{'/' * path.is_dir()}</D:href><D:propstat>"
                f"<D:prop><D:getcontentlength>{path.stat().st_size}</D:getcontentlength></D:prop></D:propstat>"
                "</D:response>"
                for path in folder.iterdir()
            )
            self.give(207, f'<D:multistatus xmlns:D="DAV:">{listed}</D:multistatus>'.encode())

        def do_HEAD(self) -> None:
            self.give(200, (vault / unquote(self.path).strip("/")).read_bytes())

        def do_GET(self) -> None:
            path = vault / unquote(self.path).strip("/")
            self.give(200, path.read_bytes(), stalls(path.name))

        def give(self, status: int, body: bytes, halts: bool = False) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "HEAD":
                return
            self.wfile.write(body[: len(body) // 2] if halts else body)
            if halts:
                over.wait()

        def log_message(self, *_words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        over.set()
        server.shutdown()
        server.server_close()
