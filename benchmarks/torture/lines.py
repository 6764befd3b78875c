"""Command lines at random: every command and option, with values that fit, that nearly fit, and that nobody types."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NoReturn

import typer

from torture.judging import ran
from torture.material import Kept
from torture.trying import Tried
from torture.values import (
    ARGUMENTS,
    FITTING_TARGETS,
    NEAR_TARGETS,
    NUMBERS,
    ODD,
    SHAPES,
    SIZES,
    SIZES_OF,
    VALUES,
)

ODDNESS = (0.0, 0.0, 0.0, 0.1, 0.1, 0.4)
"""How often a value does not fit; half of the command lines should be answered."""
ODDEST = 0.3
"""How many of these are odd, not nearly right."""


@dataclass
class Lines:
    """Draws command lines and runs them in one process."""

    folder: Path
    kept: Kept = field(init=False)
    commands: dict[str, list[Any]] = field(init=False)

    def __post_init__(self) -> None:
        """Read the options of all commands."""
        from alexnet_cli.cli import watch
        from alexnet_cli.cli.app import command_line
        from alexnet_cli.cli.commands import COMMANDS

        watch.Changes.next = _left  # type: ignore[method-assign] # it would wait for a change that does not come
        self.kept = Kept(self.folder)
        group: Any = typer.main.get_command(command_line([*COMMANDS]))
        self.commands = {name: list(command.params) for name, command in group.commands.items()}

    def words(self, chance: Random) -> list[str]:
        """Draw a command line."""
        if chance.random() < 0.02:
            pool = [*ODD, "--help", "--version", "-h", *self.commands]
            return [chance.choice(pool) for _ in range(chance.randrange(4))]
        name, oddness = chance.choice([*self.commands]), chance.choice(ODDNESS)
        words, target = [name], ""
        options = [each for each in self.commands[name] if each.param_type_name == "option"]
        for argument in self.commands[name]:
            if argument.param_type_name == "argument":
                words += self._argument(argument, oddness, chance)
                target = words[-1]
        for option in chance.sample(options, min(len(options), chance.choice((0, 1, 1, 2, 2, 3, 4, 6)))):
            words += self._option(option, target, oddness, chance)
        if any(word in ("profile", "--profile") for word in words) and "--seconds" not in words:
            words += ["--seconds", "0.05"]
        if chance.random() < oddness:
            words.insert(chance.randrange(1, len(words) + 1), chance.choice(ODD))
        if chance.random() < oddness:
            words.pop(chance.randrange(len(words)))
        return [*words[:1], *map(_stays_here, words[1:])]

    def _argument(self, argument: Any, oddness: float, chance: Random) -> list[str]:
        pools = ARGUMENTS.get(argument.name, (FITTING_TARGETS, NEAR_TARGETS))
        many = chance.choice((1, 2, 2, 2, 3)) if argument.nargs == -1 else int(chance.random() < 0.95)
        return [_drawn(pools, oddness, chance) for _ in range(many)]

    def _option(self, option: Any, target: str, oddness: float, chance: Random) -> list[str]:
        spelt = chance.choice([*option.opts, *option.secondary_opts])
        if option.is_flag:
            return [spelt]
        pools = VALUES.get(option.opts[0]) or (NUMBERS if option.metavar == "N" else SIZES)
        if option.opts[0] == "--input-size":
            pools = (SIZES_OF.get(target, ("3,8,8",) if "tiny" in target else ("3,227,227", "227")), SHAPES)
        words = []
        for _ in range(chance.choice((1, 1, 1, 2)) if option.multiple else 1):
            value = _drawn(pools, oddness, chance)
            words += [f"{spelt}={value}"] if spelt.startswith("--") and chance.random() < 0.2 else [spelt, value]
        return words

    def try_one(self, number: int, chance: Random) -> Tried:
        """Run one command line, and put the folder back."""
        del number
        words = self.words(chance)
        done = ran(words)
        self.kept.put_back()
        return Tried(str(done.code), done.defect, repr(words)[:1500], words[0] if words else "")


def _left(changes: object) -> NoReturn:
    """Leave `watch` after its first answer, as a user does."""
    del changes
    raise KeyboardInterrupt


def _drawn(pools: tuple[tuple[str, ...], tuple[str, ...]], oddness: float, chance: Random) -> str:
    fitting, near = pools
    if chance.random() >= oddness:
        return chance.choice(fitting)
    return chance.choice(ODD if chance.random() < ODDEST else near)


def _stays_here(word: str) -> str:
    """Keep what could be written inside the folder."""
    return word.replace("../", "./") if "=" in word or "/" in word else word
