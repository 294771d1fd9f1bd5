"""A server of one file on 127.0.0.1 that can be made to fail."""

import socket
import struct
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer:
    """Serves `content` at any path.

    Arguments
    ---------
    content : bytes
        The file.
    """

    def __init__(self, content):
        self.content = content
        self.knows_ranges = True
        # after how many bytes each of the next answers breaks off
        self.cuts = []
        # whether they break off with a reset, not with a plain end
        self.resets = False
        # the status of every answer, if it is to refuse
        self.refusal = None
        # first byte that each request asked for
        self.asked = []
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.file = self
        self.url = f"http://127.0.0.1:{self.http.server_port}/a.tar.gz"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        file = self.server.file
        asked = self.headers.get("Range", "bytes=0-")
        first = int(asked.removeprefix("bytes=").removesuffix("-"))
        file.asked.append(first)
        if file.refusal:
            self.send_response(file.refusal)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if not file.knows_ranges:
            first = 0
        size = len(file.content)
        self.send_response(206 if first else 200)
        if first:
            span = f"bytes {first}-{size - 1}/{size}"
            self.send_header("Content-Range", span)
        self.send_header("Content-Length", str(size - first))
        self.end_headers()
        body = file.content[first:]
        if file.cuts:
            self.wfile.write(body[: file.cuts.pop(0)])
            self.wfile.flush()
            self.close_connection = True
            if file.resets:
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, linger
                )
                self.connection.close()
            return
        self.wfile.write(body)


@contextmanager
def serve(content):
    """Serve a file while the `with` statement lasts."""
    file = FileServer(content)
    thread = threading.Thread(
        target=file.http.serve_forever, args=(0.01,), daemon=True
    )
    thread.start()
    try:
        yield file
    finally:
        file.http.shutdown()
        file.http.server_close()
        thread.join()
