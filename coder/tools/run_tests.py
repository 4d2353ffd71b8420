"""run_tests: the commands the user approved, on the draft, in the sandbox. No argument can alter them."""

from coder.agents.tool import Arguments, Desk, Tool
from coder.agents.wrap import clip
from coder.errors import ToolError

MAX_REPORT = 12_000  # characters: about 3,000 tokens


class RunTests(Arguments, frozen=True):
    pass


async def _run(_: RunTests, desk: Desk) -> str:
    if desk.run_tests is None:
        raise ToolError("no test command is approved for this repository; finish without running tests")
    return clip(await desk.run_tests(), MAX_REPORT)


RUN_TESTS = Tool("run_tests", RunTests, _run, lambda _: "run the tests", only_reads=False)
