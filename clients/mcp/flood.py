"""A server that floods: it puts nonsense before every answer of another server, whose command is in the arguments, and writes to
its standard error without end."""

import subprocess
import sys
import threading

server = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def shout() -> None:
    while True:
        sys.stderr.write("x" * 1_000 + "\n")


def pass_on() -> None:
    for line in sys.stdin.buffer:
        server.stdin.write(line)
        server.stdin.flush()
    server.stdin.close()


threading.Thread(target=shout, daemon=True).start()
threading.Thread(target=pass_on, daemon=True).start()
for line in server.stdout:
    out = sys.stdout.buffer
    out.write(b"not json\n" * 1_000 + b'{"neither":"a message"}\n' + b"y" * 5_000_000 + b"\n" + line)
    out.flush()
