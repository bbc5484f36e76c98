"""The pages of the documentation, and what can be run in them."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
_PARTS = re.compile(
    r"^#+ (?P<section>[^\n]+)$|(?:^<!-- file: (?P<source>\S+) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """One block of code.

    Attributes:
        section: Heading above it.
        language: As the page says.
        code: Its text.
        source: File of the example plugin that it repeats.
    """

    section: str
    language: str
    code: str
    source: str | None

    @property
    def lines(self):
        """What is neither blank nor a comment."""
        return [line for line in self.code.splitlines() if line.strip() and not line.lstrip().startswith("#")]

    @property
    def name(self):
        """File that the comment in its first line names."""
        found = re.match(r"# (\w+\.ya?ml)\b", self.code)
        return found and found[1]


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


def blocks_of(page, language=None):
    """Blocks in their order, of one language or all."""
    blocks, section = [], ""
    for part in _PARTS.finditer(text_of(page)):
        section = part["section"] or section
        if part["code"] is not None and language in (None, part["language"]):
            blocks.append(Block(section, part["language"], part["code"], part["source"]))
    return blocks


def commands_of(page):
    """Lines behind a prompt, each with its continuations."""
    lines = "".join(block.code for block in blocks_of(page, "console")).replace("\\\n", " ").splitlines()
    assert all(line.startswith("$ ") for line in lines)
    return [line.removeprefix("$ ") for line in lines]


def words_of(command):
    """Words as a shell takes them, without comments and variables of the environment."""
    words = shlex.split(command, comments=True)
    while re.match(r"[A-Z_]+=", words[0]):
        del words[0]
    return words


def write_named_files(page, folder):
    """Write the files that a page shows by name, such as ``fit.yaml``."""
    for block in blocks_of(page, "yaml"):
        if block.name:
            (folder / block.name).write_text(block.code, encoding="utf-8")
