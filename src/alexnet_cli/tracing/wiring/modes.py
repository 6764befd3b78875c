"""Which dropouts and norms over the batch ran in another mode than the step, or against its sense."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from alexnet_cli.tape import Shape
from alexnet_cli.torch_insides import DropoutNd, NormBase
from alexnet_cli.tracing.recording.calls import Call
from alexnet_cli.tracing.recording.taping import Draft, TapeRecorder
from alexnet_cli.tracing.wiring.lines import NO_LINE
from alexnet_cli.tracing.wiring.making import Making
from alexnet_cli.wiring import Mode

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_DRAWN = ("bernoulli", "native_dropout")
_NORMED = ("native_batch_norm", "_native_batch_norm", "cudnn_batch_norm", "_batch_norm")


class Modes:
    """Reads the modes off a training step that was recorded, and off a forward in eval mode after it."""

    def __init__(self, model: nn.Module, made: Making) -> None:
        self.model = model
        self.made = made
        self.parts = dict(model.named_modules())
        self.paths = {id(module): path for path, module in self.parts.items()}

    def of_step(self, root: Call) -> list[Mode]:
        """Return what the module calls of a training step show."""
        if not root.training:
            return []  # a model that refuses another mode
        undone = self._undone()
        found = {(mode.key, mode.path): mode for mode in undone}
        for call in _calls(root):
            module = call.module
            if module is None or id(module) not in self.paths:
                continue
            path = self.paths[id(module)]
            if not call.training and depends_on_mode(module) and (region := self._trained_region(path)) is not None:
                found["eval", path] = self._mode("eval", path, region)
            if call.training and _updates_frozen(module) and not any(_is_below(path, mode.path) for mode in undone):
                found["updates", path] = self._mode("updates", path)
            if call.training and isinstance(module, _BATCH_NORMS) and _has_one_sample(call.input_shapes):
                found["one_sample", path] = self._mode("one_sample", path)
        return list(found.values())

    def in_eval(self, tape: TapeRecorder) -> list[Mode]:
        """Return what drops or norms by the batch in a forward in eval mode."""
        texts = tape.lines.texts() if tape.lines is not None else ()
        found: dict[tuple[str, str | None], Mode] = {}
        for draft in tape.drafts:
            module = draft.place.module.module if draft.place.module is not None else None
            if is_modal(draft) and module is not None:
                path = self.paths.get(id(module), "")
                line = None if draft.line == NO_LINE else texts[draft.line]
                worker = draft.place.worker
                name = worker.name if worker is not None else type(module).__name__
                found.setdefault((path, line), Mode("always", path, name, line=line))
        return list(found.values())

    def _undone(self) -> list[Mode]:
        """Return the parts that were put into eval mode when they were made, and are in training mode again."""
        found: dict[str, Mode] = {}
        for module, line in self.made.to_eval:
            path = self.paths.get(id(module))
            if path and module.training and any(map(depends_on_mode, module.modules())):
                found[path] = Mode("undone", path, type(module).__name__, path, line)
        return list(found.values())

    def _mode(self, key: str, path: str, region: str | None = None) -> Mode:
        module = self.parts[path]
        return Mode(key, path, type(module).__name__, region, self.made.line(module))  # type: ignore[arg-type] # one of its keys

    def _trained_region(self, path: str) -> str | None:
        """Return the topmost part around a module that is in eval mode, if what it does is trained."""
        above = [self.parts[name] for name in _prefixes(path)]
        in_eval = [module for module in above[1:] if not module.training] or above[-1:]
        region = in_eval[0]
        around = [region, *reversed(above[: above.index(region)])]
        parameters = next((held for module in around if (held := list(module.parameters()))), [])
        return self.paths[id(region)] if any(parameter.requires_grad for parameter in parameters) else None


def depends_on_mode(module: nn.Module) -> bool:
    """Tell whether a layer of torch does one thing in training and another in use."""
    if isinstance(module, DropoutNd):
        return module.p > 0
    return isinstance(module, NormBase) and isinstance(module.running_mean, Tensor)


def is_modal(draft: Draft) -> bool:
    """Tell whether an operator drops values, or norms by the statistics of the batch."""
    worker, told = draft.place.worker, draft.arguments
    if draft.op.startswith(_DRAWN):
        by_module = worker is not None and isinstance(worker.module, DropoutNd)
        return by_module or (worker is not None and "dropout" in worker.name)
    if draft.op.startswith(_NORMED):
        if worker is None or told.get("training") is not True:
            return False
        norm = worker.module
        return worker.name == "batch_norm" if norm is None else isinstance(norm, _BATCH_NORMS) and depends_on_mode(norm)
    return isinstance(told.get("dropout_p"), float) and told["dropout_p"] > 0


def is_called_as_function(draft: Draft) -> bool:
    """Tell whether no module, but a function in the user's code asked for an operator."""
    return draft.place.worker is not None and draft.place.worker.module is None


def _calls(root: Call) -> Iterator[Call]:
    waiting = [root]
    while waiting:
        call = waiting.pop()
        yield call
        waiting += reversed(call.parts)


def _prefixes(path: str) -> list[str]:
    """Return the paths of a module and of all around it, the model itself first."""
    names = path.split(".") if path else []
    return ["", *(".".join(names[:end]) for end in range(1, len(names) + 1))]


def _is_below(path: str, region: str) -> bool:
    return path == region or path.startswith(f"{region}.")


def _updates_frozen(module: nn.Module) -> bool:
    """Tell whether a norm would update its running statistics although its own parameters are frozen."""
    if not isinstance(module, _BATCH_NORMS) or module.running_mean is None or module.momentum == 0:
        return False
    parameters = list(module.parameters())
    return bool(parameters) and not any(parameter.requires_grad for parameter in parameters)


def _has_one_sample(shapes: Sequence[Shape]) -> bool:
    return bool(shapes) and len(shapes[0]) > 1 and shapes[0][0] == 1
