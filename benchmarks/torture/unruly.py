"""Models that do what models should not: each class is a target, `unruly.py:NAME`, and takes four numbers."""

import atexit
import contextlib
import gc
import locale
import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings

import torch
from torch import nn


class Base(nn.Module):
    """A layer that would run, were it not for the rest."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 5)

    def forward(self, x):
        self.mischief()
        return self.layer(x)

    def mischief(self):
        """Do it."""


class Threads(Base):
    def mischief(self):
        for _ in range(50):
            threading.Thread(target=lambda: torch.zeros(3) + 1).start()


class EndlessThread(Base):
    def mischief(self):
        threading.Thread(target=time.sleep, args=(10_000,), daemon=True).start()


class LastingThread(Base):
    def mischief(self):
        threading.Thread(target=time.sleep, args=(3,)).start()


class Processes(Base):
    def mischief(self):
        for _ in range(3):
            subprocess.run([sys.executable, "-c", "print('child ' * 100)"], check=False)


class LeftChild(Base):
    def mischief(self):
        self.child = subprocess.Popen(["sleep", "5"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Forks(Base):
    def mischief(self):
        os.fork()


class Exits(Base):
    def mischief(self):
        sys.exit(7)


class ExitsWithText(Base):
    def mischief(self):
        sys.exit("goodbye")


class ExitsAsItIsMade(Base):
    def __init__(self):
        super().__init__()
        raise SystemExit(0)


class Recurses(Base):
    def mischief(self):
        self.mischief()


class RecursesAsItIsMade(Base):
    def __init__(self):
        self.__init__()


class HoldsItself(Base):
    def __init__(self):
        super().__init__()
        self.layer.add_module("up", self)


class DeepRecursionLimit(Base):
    def mischief(self):
        sys.setrecursionlimit(60)


class Prints(Base):
    def mischief(self):
        for _ in range(300_000):
            print("a flood of lines that nobody reads " * 3)


class PrintsToErrors(Base):
    def mischief(self):
        sys.stderr.write("x" * 50_000_000)


class WritesPastPython(Base):
    def mischief(self):
        os.write(1, b"{not json" * 1000)


class ClosesStdout(Base):
    def mischief(self):
        sys.stdout.close()


class ClosesDescriptors(Base):
    def mischief(self):
        for number in (0, 1, 2):
            with contextlib.suppress(OSError):
                os.close(number)


class ReplacesStreams(Base):
    def mischief(self):
        sys.stdout = sys.stderr = None


class PatchesTorch(Base):
    def mischief(self):
        torch.Tensor.__add__ = lambda a, b: None
        torch.Tensor.numel = lambda self: "many"
        nn.Linear.__repr__ = lambda self: 1 / 0
        torch.zeros = torch.empty = None


class PatchesModules(Base):
    def mischief(self):
        nn.Module.__call__ = lambda self, *given: 3


class ChangesFolder(Base):
    def mischief(self):
        os.chdir("/")


class RemovesFolder(Base):
    def mischief(self):
        os.makedirs("gone", exist_ok=True)
        os.chdir("gone")
        os.rmdir("../gone")


class ChangesLocale(Base):
    def mischief(self):
        with contextlib.suppress(locale.Error):
            locale.setlocale(locale.LC_ALL, "C")
        os.environ["LC_ALL"] = "xx_YY.KOI8-R"
        os.environ.pop("PATH", None)


class SetsHandlers(Base):
    def mischief(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)


class RaisesInAtexit(Base):
    def mischief(self):
        atexit.register(lambda: 1 / 0)


class RaisesAsItGoes(Base):
    def mischief(self):
        class Gone:
            def __del__(self):
                raise ValueError("in __del__")

        Gone()


class RaisesBaseException(Base):
    def mischief(self):
        class Own(BaseException):
            pass

        raise Own("not an Exception")


class Interrupts(Base):
    def mischief(self):
        raise KeyboardInterrupt


class GeneratorExits(Base):
    def mischief(self):
        raise GeneratorExit


class OddMessage(Base):
    def mischief(self):
        class Odd(Exception):
            def __str__(self):
                return "\x1b[31m[/x]\u202e" + "m" * 100_000

        raise Odd


class MessageThatRaises(Base):
    def mischief(self):
        class Odd(Exception):
            def __str__(self):
                raise ValueError("no message")

        raise Odd


class MessageThatIsNoText(Base):
    def mischief(self):
        class Odd(Exception):
            def __str__(self):
                return 3

        raise Odd


class NameThatRaises(Base):
    def __repr__(self):
        raise ValueError("no repr")

    def extra_repr(self):
        raise ValueError("no extra repr")


class LiesAboutItself(Base):
    @property
    def training(self):
        raise ValueError("no mode")

    @training.setter
    def training(self, mode):
        pass


class AnswersEverything(Base):
    def __getattr__(self, name):
        with contextlib.suppress(AttributeError):
            return super().__getattr__(name)
        return lambda *given, **named: None


class ParametersThatRaise(Base):
    def parameters(self, recurse=True):
        raise ValueError("no parameters")

    def named_parameters(self, *given, **named):
        raise ValueError("no named parameters")


class ModulesThatRaise(Base):
    def named_modules(self, *given, **named):
        raise ValueError("no modules")

    def children(self):
        raise ValueError("no children")


class Allocates(Base):
    def mischief(self):
        bytearray(2**50)


class AllocatesOnDevice(Base):
    def mischief(self):
        torch.zeros(2**46, device="cpu")


class Warns(Base):
    def mischief(self):
        warnings.simplefilter("always")
        for number in range(2000):
            warnings.warn(f"warning {number}", stacklevel=1)


class WarningsAreErrors(Base):
    def mischief(self):
        warnings.simplefilter("error")


class CollectsNothing(Base):
    def mischief(self):
        gc.disable()
        random.seed(0)
        os.umask(0o777)


class RemovesItself(Base):
    def mischief(self):
        os.remove(__file__)


class ForgetsModules(Base):
    def mischief(self):
        for name in [name for name in sys.modules if name.startswith(("json", "alexnet_cli.views", "rich"))]:
            del sys.modules[name]


class TracesCalls(Base):
    def mischief(self):
        sys.settrace(lambda *given: None)
        sys.setprofile(lambda *given: None)


class ReplacesHooks(Base):
    def mischief(self):
        sys.excepthook = lambda *given: 1 / 0
        builtins = sys.modules["builtins"]
        builtins.print = lambda *given, **named: None


class ReturnsItself(Base):
    def forward(self, x):
        return self


class ReturnsEndless(Base):
    def forward(self, x):
        made = [self.layer(x)]
        made.append(made)
        return made


class ReturnsGenerator(Base):
    def forward(self, x):
        return (self.layer(x) for _ in range(3))


class AddsWhileRun(Base):
    def mischief(self):
        self.add_module(f"more{len(self._modules)}", nn.Linear(2, 2))


class DropsWhileRun(Base):
    def forward(self, x):
        layer = self.layer
        del self.layer
        return layer(x)
