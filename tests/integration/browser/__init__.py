"""A real browser, and the server of its pages."""
import json
import os
import shutil
import signal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final

from tests.integration.program import LIMIT, Program

HERE: Final = Path(__file__).parent
BUNDLE: Final = HERE.parent / "mqttjs" / "node_modules" / "mqtt" / "dist" / "mqtt.min.js"
COMMANDS: Final = ("chromium-headless-shell", "chromium", "google-chrome")
FILES: Final = {"/": (HERE / "page.html", "text/html"), "/mqtt.min.js": (BUNDLE, "text/javascript")}


def missing() -> str:
    """What a test with a browser lacks here."""
    if not any(map(shutil.which, COMMANDS)):
        return "the command chromium-headless-shell is not installed"
    return "" if BUNDLE.exists() else "the npm package mqtt is not installed"


class Pages:
    """Serves the page and the bundle of MQTT.js, and hears what pages tell."""

    def __init__(self) -> None:
        told: SimpleQueue[dict[str, Any]] = SimpleQueue()

        class Request(BaseHTTPRequestHandler):

            def do_GET(self) -> None:
                path, kind = FILES.get(self.path, (None, ""))
                self.send_response(404 if path is None else 200)
                self.send_header("Content-Type", kind)
                self.end_headers()
                if path is not None:
                    self.wfile.write(path.read_bytes())

            def do_POST(self) -> None:
                told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._told = told
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Request)
        self.port = self._server.server_port
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()

    def told(self) -> dict[str, Any]:
        """What a page tells next."""
        return self._told.get(timeout=LIMIT)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Browser(Program):
    """A headless Chromium that shows a page."""

    def __init__(self, folder: Path, url: str) -> None:
        folder.mkdir()
        command = next(command for command in COMMANDS if shutil.which(command))
        super().__init__(
            command, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
            "--disable-component-update", "--no-first-run", "--no-proxy-server", "--remote-debugging-port=0",
            f"--user-data-dir={folder}", url, cwd=folder)

    def kill(self) -> None:
        """The command may be a script that has started the browser, whose own processes end with it."""
        for pid in self.children():
            os.kill(pid, signal.SIGKILL)
        super().kill()
