"""A minimal MCP server that says whatever its arguments make it say, sound or not.

    stub.py [--http | --stream] TOOLS RESULT [CURSOR [TEMPLATES [RESOURCES]]]

TOOLS, CURSOR, TEMPLATES and RESOURCES are JSON; RESULT is the text of the result of every call that is not named below, whether it
is JSON or not, with ARGS in it for the text of the arguments as they came, BIG for five million letters, and LARGE for
four million, which are not too many. Over HTTP it may also be
`!500` for a status, `!html` for an answer of that type, `!cut` for none at all. CURSOR is the `nextCursor` of every page of tools, or a
list of those of the pages. It speaks over standard input and output, or over HTTP with answers in JSON (`--http`) or as events
(`--stream`); then it prints its address first.

Calls with a meaning of their own: `good` says ok; `asked` says how often the tools were listed; `wait` says ok once a tool that is
not named here was called and answered; `waiting` says how many calls of `wait` wait.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

flags = [argument for argument in sys.argv[1:] if argument in ("--http", "--stream")]
given = [argument for argument in sys.argv[1:] if argument not in flags]
tools, result = json.loads(given[0]), given[1]
cursor, templates, resources = (json.loads(text) for text in (given[2:] + ["null"] * 3)[:3])
lists, waiting = 0, []
lock = threading.Lock()


def next_cursor(asked):
    if isinstance(cursor, list):
        return dict(zip([None] + cursor, cursor)).get(asked)
    return cursor


def arguments_of(text):
    """The arguments of a call as they stand in its text."""
    if '"arguments"' not in text:
        return ""
    start = text.index(":", text.index('"arguments"')) + 1
    start += len(text[start:]) - len(text[start:].lstrip())
    return text[start : json.JSONDecoder().raw_decode(text, start)[1]]


def say(text):
    return json.dumps({"content": [{"type": "text", "text": text}]})


def call(name, text):
    """The text of the result of a call, and what to do once that is sent."""
    if name == "good":
        return say("ok"), None
    if name == "asked":
        return say(str(lists)), None
    if name == "waiting":
        return say(str(len(waiting))), None
    if name == "wait":
        released = threading.Event()
        waiting.append(released)
        released.wait()
        return say("ok"), None

    def release():
        while waiting:
            waiting.pop().set()

    said = result.replace("ARGS", json.dumps(arguments_of(text))[1:-1])
    return said.replace("BIG", "x" * 5_000_000).replace("LARGE", "x" * 4_000_000), release


def answer(text):
    """The answer to a message, none for a notification, and what to do once it is sent."""
    global lists
    message = json.loads(text)
    method, params = message.get("method"), message.get("params") or {}
    if message.get("id") is None:
        return None, None
    found, after = None, None
    if method == "initialize":
        offers = {"tools": {}} if templates is None and resources is None else {"tools": {}, "resources": {}}
        info = {"name": "stub", "version": "1"}
        found = {"protocolVersion": params["protocolVersion"], "capabilities": offers, "serverInfo": info}
    elif method == "tools/list":
        with lock:
            lists += 1
        following = next_cursor(params.get("cursor"))
        found = {"tools": tools, **({} if following is None else {"nextCursor": following})}
    elif method == "resources/templates/list" and templates is not None:
        found = {"resourceTemplates": templates}
    elif method == "resources/list" and (resources is not None or templates is not None):
        found = {"resources": resources or []}
    elif method == "resources/read":
        found = {"contents": [{"uri": params["uri"], "text": "read"}]}
    elif method == "tools/call":
        found, after = call(params["name"], text)
    if found is None:
        error = json.dumps({"code": -32601, "message": "Method not found"})
        return '{"jsonrpc":"2.0","id":%s,"error":%s}' % (json.dumps(message["id"]), error), None
    found = found if isinstance(found, str) else json.dumps(found)
    return '{"jsonrpc":"2.0","id":%s,"result":%s}' % (json.dumps(message["id"]), found), after


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        said, after = answer(text)
        if said is None:
            self.send(202, "text/plain", "")
        elif said.endswith(":!500}"):
            self.send(500, "text/plain", "out of order")
        elif said.endswith(":!html}"):
            self.send(200, "text/html", "<p>Hello")
        elif said.endswith(":!cut}"):
            self.send(200, "text/event-stream", ": nothing\n\n")
        elif "--stream" in flags:
            self.send(200, "text/event-stream", f"data: {said}\n\n")
        else:
            self.send(200, "application/json", said)
        if after:
            after()

    def do_GET(self):
        self.send(405, "text/plain", "")

    def send(self, status, kind, body):
        body = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_):
        pass


def over_lines():
    def serve(line):
        said, after = answer(line)
        if said is not None:
            with lock:
                print(said, flush=True)
        if after:
            after()

    for line in sys.stdin:
        threading.Thread(target=serve, args=(line,), daemon=True).start()


if flags:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}/mcp", flush=True)
    server.serve_forever()
else:
    over_lines()
