#!/usr/bin/env bash
# PyFxA 0.9.0 (with requests 2.34.2, urllib3 2.8.0) sleeps through a 429 and sends the same POST four times.
#
# One would expect the answer 429 with `Retry-After: 1` to reach the program at once, as the error of the account
# protocol (ClientError, errno 114). It does so after four requests and three pauses: PyFxA gives its connections
# urllib3's Retry(total=3) and lists POST among the methods; urllib3 then obeys the Retry-After of 413, 429 and 503 by
# itself, asleep inside the call. With `Retry-After: 900` a log-in sleeps for 45 minutes without a word, far beyond
# PyFxA's timeout of 30 s; its `max_retry_after` has no say in this. A server that counts refused tries counts four.
#
# Foxden does not count a try that it refused with 429, so the repeats do not lengthen the wait.
#
# Seen:
#   429: ClientError after 4 requests and at least 3 s
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
    PyFxA==0.9.0 requests==2.34.2 urllib3==2.8.0 cryptography==50.0.2 PyJWT==2.15.1

cat > "$folder/run.py" <<'PYTHON'
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from fxa.core import Client

seen = []


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        seen.append(self.path)
        status, wait = self.server.says
        body = json.dumps({"code": status, "errno": 114, "error": "x", "message": "x", "retryAfter": wait}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Retry-After", str(wait))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"

server.says = (429, 1)
begun = time.monotonic()
try:
    Client(url).login("ann@example.org", "a password")
    raised = "nothing"
except Exception as error:
    raised = type(error).__name__
took = time.monotonic() - begun
print(f"429: {raised} after {len(seen)} requests and at least {int(took)} s")
assert (raised, len(seen)) == ("ClientError", 4) and took >= 3, (raised, seen, took)

PYTHON
"$folder/venv/bin/python" "$folder/run.py"
