"""The options of ``%%modellix`` and the commands of ``%modellix``, as data.

The parser, the help, the completion and the test of the docs all read these two tables, so that
none of them can know an option that another does not. The values of options are parsed here too, if
they have a syntax of their own.
"""

from __future__ import annotations

import keyword
import math
import re
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from modellix_jupyter.errors import InvalidRequest, short

# The similarity from which an unknown option is taken for a typing error.
#
# Measured on names that models really use: `safe` beside `save` has 0.75, `timout` 0.92.
TYPO_RATIO = 0.8

# More repeats of one request are probably a mistake; a larger plan needs several cells.
MAX_REPEAT = 1000

# Thirty years; a wait on a lock raises from nine times that on.
MAX_TIMEOUT_S = 1e9


@dataclass(frozen=True, slots=True)
class Command:
    """One command of ``%modellix``; brackets mark optional arguments, dots several ones."""

    name: str
    metavar: str | None
    help: str

    @property
    def usage(self) -> str:
        """The command as it is typed, with its metavar."""
        return f"{self.name} {self.metavar}" if self.metavar else self.name

    def takes(self, count: int) -> bool:
        """Whether the command takes this number of arguments."""
        if self.metavar is None:
            return count == 0
        minimum = 0 if self.metavar.startswith("[") else 1
        return count >= minimum and (count <= 1 or "..." in self.metavar)


@dataclass(frozen=True, slots=True)
class Option:
    """One option of ``%%modellix``: its name without dashes, and the metavar of its value."""

    name: str
    metavar: str | None
    help: str

    @property
    def usage(self) -> str:
        """The option as it is typed, with its metavar."""
        return f"--{self.name} {self.metavar}" if self.metavar else f"--{self.name}"

    @property
    def repeatable(self) -> bool:
        """Whether it may be given several times, each time for another parameter."""
        return self.metavar is not None and self.metavar.startswith("NAME=")


# Every option that is not a parameter of the model.
OPTIONS: tuple[Option, ...] = (
    Option("param", "NAME=VALUE", "a parameter of the model that has the name of an option here"),
    Option(
        "body",
        "JSON",
        "the request's body without the prompt, for values that options cannot express",
    ),
    Option("out", "VAR", "also bind the results to VAR; they are always the cell's value"),
    Option("no-wait", None, "return at once; the output keeps updating"),
    Option("timeout", "SECONDS", "how long the cell waits; the tasks go on"),
    Option("repeat", "N", "make each request N times"),
    Option(
        "vary",
        "NAME=a,b,c",
        "one request per value, or per item of a JSON list; several give every combination",
    ),
    Option("dry-run", None, "show the plan, with its count and its price if known; send nothing"),
    Option("yes", None, "do not ask for confirmation, whatever the plan costs"),
    Option("max-usd", "X", "refuse a plan that may cost more than X, or that has no known price"),
    Option("fresh", None, "send the request even if the ledger has its result"),
    Option("reuse", None, "take the ledger's result even if the request has no seed"),
    Option("save", "DIR", "copy the files to DIR as well"),
    Option("no-interpolate", None, "leave {name} as it is, in the prompt and in the options"),
    Option("help", None, "show this"),
)

# Every command, in the order of the help.
COMMANDS: tuple[Command, ...] = (
    Command("help", None, "show this"),
    Command("key", None, "ask for an API key, without showing it"),
    Command("doctor", None, "test the key, the network, the disk and this notebook"),
    Command("models", "[TEXT]", "list the models, or those that match TEXT"),
    Command("describe", "MODEL", "show a model's parameters, its price and a cell that calls it"),
    Command("history", "[--all]", "show the tasks of the service in use, or of every one"),
    Command("wait", "[TASK_ID ...]", "wait for these tasks, or for all that are not done"),
    Command(
        "resume",
        "[send | take-over | NAME=TASK_ID ...]",
        "take up what an earlier kernel left; send what was never sent (`send --yes` asks "
        "nothing); take over the tasks of a kernel that hangs; resolve what is unknown",
    ),
    Command(
        "budget",
        "[X/day | X/month | X | off]",
        "show what was spent and what is left; set a limit for every kernel on this ledger",
    ),
    Command("stop", "[TASK_ID ...]", "take back what has not been sent; stop waiting for what has"),
    Command("panel", None, "show the panel"),
    Command("export", "PATH", "write the history as csv, json, parquet, xlsx or html"),
    Command("balance", None, "show what is left on the account"),
    Command("sandbox", None, "run a local Modellix and use it: no key, no cost"),
)

_HEAD = """\
%%modellix provider/model [provider/model ...] [options] [--NAME VALUE ...]
the prompt, over as many lines as it takes
"""

_VALUES = """\
Any other option is a parameter of the model: --size 1024*1024 --seed 7. A dash in NAME is an
underscore. VALUE is read as JSON where it is JSON, else as text: 7 is a number, true a boolean,
'"7"' a text. --NAME=VALUE says the same, and also takes a VALUE that begins with two dashes.
A value with spaces or backslashes needs quotes.

{name} in the prompt or in an option is replaced where `name` is a variable of the notebook; a name
that is not one is an error, {{name}} writes {name}, and any other brace stays as it is. A variable
that is the whole VALUE keeps its type: a list stays a list, and a text stays a text even if it
looks like a number.

A line of three dashes on its own separates several prompts in one cell.
"""

_EXAMPLES = """\
%%modellix alibaba/qwen-image-plus --size 1024*1024 --negative-prompt "blurry, text"
a lighthouse in the fog

%%modellix alibaba/qwen-image-plus google/nano-banana-2 --vary seed=1,2,3 --out pictures
a {animal} on a bicycle
---
a {animal} in a boat

%%modellix alibaba/qwen-image-plus --repeat 4 --dry-run
a paper crane
"""


_END = "%modellix alone is help. %config Modellix lists every setting."


def option_named(name: str) -> Option | None:
    """Return the option of a name, with dashes or underscores, or None."""
    canonical = name.replace("_", "-")
    return next((option for option in OPTIONS if option.name == canonical), None)


def typo_of(name: str) -> Option | None:
    """Return the option of which a name is probably a misspelling, or None.

    Such a name begins with the same letter, and is very similar to the option or has exactly its
    letters. Some misspellings are missed (the model refuses those), and no parameter is taken for
    one.
    """
    word = name.replace("_", "-").casefold()
    near = [(_likeness(word, option.name), option) for option in OPTIONS]
    best, option = max(near, key=lambda pair: pair[0])
    return option if best >= TYPO_RATIO else None


def _likeness(word: str, name: str) -> float:
    if word[:1] != name[:1]:
        return 0.0
    if sorted(word) == sorted(name):
        return 1.0
    return SequenceMatcher(None, word, name, autojunk=False).ratio()


def repeat_of(text: str) -> int:
    """Return the number of times to make each request."""
    number = int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0
    if not 1 <= number <= MAX_REPEAT:
        raise InvalidRequest(
            f"`--repeat {short(text)}` is not a whole number from 1 to {MAX_REPEAT:,}.",
            "Write --repeat 4 to make each request four times.",
        )
    return number


def seconds_of(text: str) -> float:
    """Return how long to wait in seconds."""
    seconds = _float(text)
    if not 0 < seconds <= MAX_TIMEOUT_S:  # this refuses nan too
        raise InvalidRequest(
            f"`--timeout {short(text)}` is not a number of seconds above 0, 1e9 at most.",
            "Write --timeout 300 to wait for five minutes.",
        )
    return seconds


def usd_of(text: str) -> float:
    """Return the maximal cost of a plan in USD."""
    usd = _float(text.removeprefix("$"))
    if not 0 <= usd < math.inf:
        raise InvalidRequest(
            f"`--max-usd {short(text)}` is not an amount of dollars.",
            "Write --max-usd 0.50 to spend half a dollar at most.",
        )
    return usd


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def variable_of(text: str) -> str:
    """Return the name of the variable to bind."""
    name = unicodedata.normalize("NFKC", text)  # the form in which Python looks names up
    if not name.isidentifier() or keyword.iskeyword(name):
        raise InvalidRequest(
            f"`--out {short(text)}` is not the name of a variable.",
            "Write --out pictures to find the results in `pictures`.",
        )
    return name


def folder_of(text: str) -> str:
    """Return the folder to copy to."""
    if not text.strip():
        raise InvalidRequest(
            "`--save` names no folder.", "Write --save pictures, or --save . for here."
        )
    return text


def help_text() -> str:
    """Return the help of both magics as plain text, at most 100 columns wide."""
    options = _table([(option.usage, option.help) for option in OPTIONS])
    commands = _table([(f"%modellix {command.usage}", command.help) for command in COMMANDS])
    examples = textwrap.indent(_EXAMPLES, "  ")
    parts = (_HEAD, "Options", options, _VALUES, "Examples", examples, "Commands", commands, _END)
    return "\n".join(parts)


def _table(rows: Sequence[tuple[str, str]]) -> str:
    width = max(len(left) for left, _ in rows) + 4
    filler = textwrap.TextWrapper(100, subsequent_indent=" " * width, break_on_hyphens=False)
    lines = []
    for left, right in rows:
        filler.initial_indent = f"  {left}".ljust(width)
        lines.append(filler.fill(right))
    return "\n".join([*lines, ""])
