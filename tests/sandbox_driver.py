"""Run as another user: attacks one tier from a copy of the package and prints what came of it as JSON."""

import asyncio
import json
import os
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

tier, work, package = sys.argv[1:]
sys.path.insert(0, package)

from coder.errors import Refused  # noqa: E402
from coder.sandbox import View, choose  # noqa: E402
from coder.store import Places  # noqa: E402

base = Path(work)
home = base / "home"
(home / ".ssh").mkdir(parents=True)
canary = os.environ["OPENAI_API_KEY"]
(home / ".ssh" / "id").write_text(canary)
(base / "outside").write_text("unchanged")
os.mkfifo(base / "fifo")
reader = os.open(base / "fifo", os.O_RDONLY | os.O_NONBLOCK)
tcp, udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
unix, datagram = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
abstract = socket.socket(socket.AF_UNIX)
for bound, address in (
    (tcp, ("127.0.0.1", 0)), (udp, ("127.0.0.1", 0)), (unix, work + "/u"), (datagram, work + "/d"),
    (abstract, f"\0coder-{os.getpid()}"),
):  # fmt: skip
    bound.bind(address)
for listener in (tcp, unix, abstract):
    listener.listen()
plan = {
    "tcp": tcp.getsockname()[1], "udp": udp.getsockname()[1], "unix": work + "/u", "unix_datagram": work + "/d",
    "abstract": f"coder-{os.getpid()}", "canary": canary, "root": work + "/repository", "pid": os.getpid(),
    "fifo": work + "/fifo", "outside": [work + "/outside"], "secrets": [str(home / ".ssh" / "id")],
}  # fmt: skip
hostile = (Path(__file__).parent / "hostile.py").read_text()


async def main() -> dict[str, object]:
    settings = SimpleNamespace(env=(), readable=(), unmask=(), network=False, memory_mb=4096)
    places = Places(base / "config", base / "state", base / "cache")
    try:
        sandbox = await choose("auto", settings, places, tiers=(tier,))
    except Refused as refusal:
        return {"refused": refusal.message}
    await sandbox.run(
        [sys.executable, "-c", hostile, json.dumps(plan)],
        View(base / "repository"),
        timeout=20,
        on_output=lambda _: None,
        log=base / "log",
    )
    outcomes = json.loads((base / "log").read_text())
    return {"refused": "", "achieved": {name: what for name, what in outcomes.items() if what != "held"}}


print(json.dumps(asyncio.run(main())))
