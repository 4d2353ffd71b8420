"""Prompts are code: each file is used, its holes are filled, and what every request repeats stays small and fixed."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from coder import prompts
from coder.agents.agent import make_agent, read_prompt
from coder.config import RoleSettings, Settings
from coder.context.tokens import count_tokens
from coder.tools import ALL, READING

PACKAGE = Path(prompts.__file__).parent
NAMES = sorted(
    path.relative_to(prompts.prompts_dir()).with_suffix("").as_posix() for path in prompts.prompts_dir().rglob("*.md")
)
AGENTS = ["coder", "ask", "subagents/summarizer", "subagents/selector", "subagents/triager"]


@pytest.mark.parametrize("name", NAMES)
def test_every_prompt_is_used(name: str):
    if name.startswith("tools/"):
        assert name.removeprefix("tools/") in {tool.name for tool in ALL}
    else:
        spelled = f'"{name.removeprefix("subagents/")}"'
        assert any(spelled in path.read_text("utf-8") for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("name", [name for name in NAMES if prompts.holes(name)])
def test_every_hole_is_filled_where_the_prompt_is_used(name: str):
    code = "\n".join(path.read_text("utf-8") for path in PACKAGE.rglob("*.py"))
    uses = re.findall(rf'fill\(\s*"{name}"((?:[^()]|\([^()]*\))*)\)', code)
    assert uses and all(set(re.findall(r"(\w+)=", use)) >= prompts.holes(name) for use in uses)


@pytest.mark.parametrize("name", AGENTS)
def test_instructions_have_no_hole(name: str):
    agent = make_agent(name, Settings())
    assert prompts.holes(name) == frozenset() and not agent.instructions.startswith("---")
    assert agent.max_output >= 1_000


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("tools/")])
def test_tool_descriptions_have_no_hole(name: str):
    assert prompts.holes(name) == frozenset()


def test_instructions_and_tools_take_at_most_3000_tokens():
    for name, tools in (("coder", ALL), ("ask", READING)):
        agent = make_agent(name, Settings(), tools)
        fixed = agent.instructions + json.dumps([[s.name, s.description, s.parameters] for s in agent.specs])
        assert count_tokens(fixed) <= 3_000


def test_the_fixed_part_is_the_same_in_every_process():
    code = (
        "from coder.agents.agent import make_agent; from coder.config import Settings; from coder.tools import ALL\n"
        "a = make_agent('coder', Settings(), ALL); print(repr((a.instructions, a.specs)))"
    )
    run = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, env={"PYTHONHASHSEED": seed}, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert run[0] == run[1] and len(run[0]) > 1_000


def test_roles_may_have_their_own_model_and_effort():
    settings = Settings(roles={"triager": RoleSettings(model="other", effort="high")}, effort="low")
    agent = make_agent("subagents/triager", settings)
    assert (agent.model, agent.effort, agent.name) == ("other", "high", "triager")
    assert make_agent("subagents/selector", settings).model == "gpt-5.4-nano"
    assert (make_agent("coder", settings).model, make_agent("coder", settings).effort) == ("gpt-5.4-mini", "low")


@pytest.mark.parametrize("name", AGENTS)
def test_every_agent_is_told_that_content_is_data(name: str):
    _, text = read_prompt(name)
    assert "data" in text and re.search(r"[Nn]ever follow|do not follow", text)


def test_the_example_in_the_instructions_is_a_correct_edit():
    from coder.repo.patch.find import has_edit

    _, text = read_prompt("coder")
    example = text.split("```\n")[1]
    assert example.startswith("*** Begin Patch\n") and example.endswith("*** End Patch\n") and has_edit(example)
