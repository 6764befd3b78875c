"""`file.py:NAME` and `package.module:NAME`: a class, a function that returns a module, or an instance."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from alexnet_cli.errors import AlexnetError, TargetError, UsageError
from alexnet_cli.targets.subject import Asked, Loaded, Subject
from alexnet_cli.users_code import forget, users_frames


def python_subject(asked: Asked) -> Subject:
    """Return the subject of `file.py:NAME` or `package.module:NAME`; a file with one module class needs no name.

    Nothing is imported before the subject is loaded.

    Raises:
        TargetError: the file does not exist.
    """
    place, name = asked.target, ""
    if not place.endswith(".py"):
        place, _, name = place.rpartition(":")
    source = _Source(_code(place), name, dict(asked.arguments))
    return Subject(asked.target, f"{name or 'the model'} in {place}", source.load, within=source.code.within)


def python_value(text: str) -> Any:
    """Return what `file.py:NAME` or `package.module:NAME` names; a function or class is called without arguments.

    Raises:
        UsageError: the text has no name, or the code has none such.
        TargetError: the code cannot be found or imported, the call fails, or it returns nothing.
    """
    source = _named_source(text, "--inputs", "make_inputs", "it is called without arguments")
    with source.code.within():
        value = source.found
        described = isinstance(value, Mapping) or (hasattr(value, "args") and hasattr(value, "kwargs"))
        if callable(value) and not described:
            value = source.call()
    if value is None:
        raise TargetError(f"{text} is None, not the inputs of a model", "does the function lack a return?")
    return value


def python_plan(text: str, model: object) -> Any:
    """Return the plan that `file.py:NAME` or `package.module:NAME` names; a function is called with the model.

    Raises:
        UsageError: the text has no name, or the code has none such.
        TargetError: the code cannot be found or imported, or the call fails.
    """
    source = _named_source(text, "--plan", "plan", "it is called with the model")
    with source.code.within():
        return source.call(model) if callable(source.found) else source.found


def _named_source(text: str, option: str, example: str, advice: str) -> _Source:
    place, _, name = text.rpartition(":")
    if not place or not all(part.isidentifier() for part in name.split(".")):
        raise UsageError(f"{option} {text!r} is not of the form file.py:NAME", f"as in {option} net.py:{example}")
    return _Source(_code(place), name, {}, advice=advice)


@dataclass(frozen=True)
class Code:
    """A module of Python code: its dotted name and, for a file, the folder that it is imported from."""

    module: str
    folder: Path | None
    file: Path | None = None

    @contextmanager
    def within(self) -> Iterator[None]:
        """Make the folder importable; afterwards forget what was imported from it, and return to the current folder."""
        here = Path.cwd()
        folder = str(self.folder or here)
        before = set(sys.modules)
        writes_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        words, sys.argv = sys.argv, [str(self.file or self.module)]  # the code may parse arguments, which are not ours
        sys.path.insert(0, folder)
        importlib.invalidate_caches()
        try:
            yield
        finally:
            os.chdir(here)
            sys.argv = words
            if folder in sys.path:
                sys.path.remove(folder)
            sys.dont_write_bytecode = writes_bytecode
            forget(name for name in set(sys.modules) - before if _lies_in(sys.modules[name], folder))

    def load(self) -> ModuleType:
        """Import the code; a file whose name is already taken by another module gets a name of its own."""
        taken = sys.modules.get(self.module)
        if self.file is None or (taken is None and importlib.util.find_spec(self.module.partition(".")[0]) is None):
            return importlib.import_module(self.module)
        if taken is not None and getattr(taken, "__file__", None) == str(self.file):
            return taken
        if "." in self.module:
            return importlib.import_module(self.module)
        return _load_file(self.file)


@dataclass(eq=False)
class _Source:
    """Loads one named object, importing its code once."""

    code: Code
    name: str
    arguments: dict[str, Any]
    advice: str = "pass arguments with --arg name=value"

    @cached_property
    def found(self) -> Any:
        try:
            module = self.code.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise _broken(f"cannot import {self.code.file or self.code.module}", error) from error
        return _attribute(module, self.name) if self.name else _only_model(module)

    def load(self) -> Loaded:
        """Return the module; a class or function builds a new one each time."""
        from torch import nn

        if isinstance(self.found, nn.Module):
            if self.arguments:
                raise UsageError("--arg applies only to a class or a function, not to an instance")
            return Loaded(self.found, shared=True)
        if not callable(self.found):
            raise TargetError(
                f"{self._named} is {_kind(self.found)}, not an nn.Module", "name a class, a function or an instance"
            )
        made = self.call()
        if not isinstance(made, nn.Module):
            raise TargetError(f"{self._named} returned {_kind(made)}, not an nn.Module")
        return Loaded(made)

    def call(self, *given: object) -> Any:
        """Call the class or function, also with what is `given`."""
        try:
            inspect.signature(self.found).bind(*given, **self.arguments)
        except TypeError as error:
            signature = f"the signature is {self._named}{inspect.signature(self.found)}"
            raise TargetError(f"cannot call {self._named}: {error}", f"{signature}; {self.advice}") from None
        except ValueError:
            pass  # no signature: the error of the call itself will do
        try:
            return self.found(*given, **self.arguments)
        except (AlexnetError, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise _broken(f"cannot build {self._named}", error) from error

    @property
    def _named(self) -> str:
        return self.name or getattr(self.found, "__name__", "the model")


def _code(place: str) -> Code:
    """Return the code of a file, or of a module if the place has no `.py`."""
    if not place.endswith(".py"):
        return Code(place, None)
    file = Path(place).absolute()
    if file.is_dir():
        raise TargetError(f"{place} is a folder, not Python code", "name a file in it")
    if not file.is_file():
        beside = os.listdir(file.parent) if os.access(file.parent, os.R_OK) else ()  # noqa: PTH208 - names
        near = get_close_matches(file.name, beside, n=3)
        raise TargetError(f"file not found: {place}", f"did you mean {' or '.join(near)}?" if near else None)
    folder, names = file.parent, [file.stem]
    while (folder / "__init__.py").is_file():
        names.insert(0, folder.name)
        folder = folder.parent
    return Code(".".join(names), folder, file)


def _load_file(file: Path) -> ModuleType:
    name = f"_alexnet_target_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not Python code")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _attribute(module: ModuleType, name: str) -> Any:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            names = _models_in(module) or [key for key in vars(module) if not key.startswith("_")]
            near = get_close_matches(name, names, n=3) or names[:10]
            hint = f"available: {', '.join(near)}" if near else None
            raise UsageError(f"{module.__file__ or module.__name__} has no {name!r}", hint)
        found = getattr(found, part)
    return found


def _only_model(module: ModuleType) -> Any:
    names = _models_in(module)
    if len(names) == 1:
        return getattr(module, names[0])
    where = module.__file__ or module.__name__
    if not names:
        raise UsageError(f"{where} defines no nn.Module class", f"name a function or an instance: {where}:NAME")
    raise UsageError(f"{where} defines several models", f"name one: {', '.join(names)}")


def _models_in(module: ModuleType) -> list[str]:
    """List the module classes that are defined here, or else the instances."""
    from torch import nn

    members = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    classes = [
        name
        for name, value in members.items()
        if isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == module.__name__
    ]
    return classes or [name for name, value in members.items() if isinstance(value, nn.Module)]


def _broken(what: str, error: BaseException) -> TargetError:
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    hints = [users_frames(error)]
    if isinstance(error, ImportError) and "no known parent package" in str(error):
        hints.append("name it as package.module:NAME from the folder above, or add an __init__.py to its folder")
    if isinstance(error, ModuleNotFoundError) and error.name and error.name.partition(".")[0] not in sys.modules:
        hints.append(f"alexnet runs by {sys.executable}, which does not have {error.name.partition('.')[0]}")
    return TargetError(f"{what}: {said}", "\n".join(filter(None, hints)) or None)


def _kind(value: object) -> str:
    return "a Python module" if isinstance(value, ModuleType) else f"a {type(value).__name__}"


def _lies_in(module: ModuleType | None, folder: str) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).is_relative_to(folder) and "site-packages" not in Path(file).parts
