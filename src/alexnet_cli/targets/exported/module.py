"""An exported program as a module: its modules, parameters and buffers by name, and a forward that runs its operators.

Weights have the shapes of those in the file and no values of them: empty on `meta`, random elsewhere.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import handle_torch_function, has_torch_function

from alexnet_cli.errors import UsageError
from alexnet_cli.tape import Shape
from alexnet_cli.targets.exported.calls import Call, Op, call_tree, flattened, root_class
from alexnet_cli.targets.exported.layers import layer_of
from alexnet_cli.targets.exported.operators import Operator, dtype_of
from alexnet_cli.targets.exported.schema import Buffer, Parameter, Program, Size, TensorMeta
from alexnet_cli.torch_insides import own_parameters
from alexnet_cli.units import shape as cross


def build(program: Program) -> nn.Module:
    """Return the program as a module on torch's default device.

    Raises:
        TargetError: it calls what is not run from a file.
        ValueError: names in it contradict each other.
    """
    return _Builder(program).module()


class _Part(nn.Module):
    """A module of an exported program. Whoever calls it says first which of its calls comes, in `coming`."""

    coming: deque[Callable[[tuple[Any, ...]], Any]]  # no list: lists are settings

    def forward(self, *args: Any) -> Any:
        """Run the operators of this call."""
        return self.coming.pop()(args)


class _Whole(_Part):
    """The model; `slots` are its arguments by name, with the sizes that the program takes."""

    slots: dict[str, list[Size]]
    whole: Callable[[dict[str, Any]], Any]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program.

        Raises:
            UsageError: the program does not take these arguments, or not of these shapes.
        """
        given = dict(zip(self.slots, args, strict=False)) | kwargs
        if len(args) > len(self.slots) or given.keys() != self.slots.keys():
            takes = ", ".join(self.slots)
            raise UsageError(f"the program takes {len(self.slots)} tensors ({takes}), and {len(given)} were given")
        for name, sizes in self.slots.items():
            _check_shape(name, given[name], sizes)
        return self.whole(given)

    def train(self, mode: bool = True) -> _Whole:  # noqa: FBT001, FBT002 - as nn.Module has it
        """Stay as the program was exported: its operators are those of one mode."""
        if mode:
            raise NotImplementedError("an exported program has the mode that it was exported in")
        return self


def _check_shape(name: str, tensor: Any, sizes: list[Size]) -> None:
    shape = tuple(tensor.shape) if isinstance(tensor, Tensor) else None
    fits = shape is not None and len(shape) == len(sizes)
    for size, dimension in zip(sizes, shape or (), strict=False):
        fits = fits and (size.as_int is None or size.as_int == dimension)
    if not fits:
        what = type(tensor).__name__ if shape is None else cross(shape)
        takes = cross(tuple(size.usual for size in sizes))
        hint = "its other dimensions were fixed when it was exported"
        raise UsageError(f"the program takes {name} as {takes}, not {what}", hint)


class _Builder:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.graph = program.graph_module.graph
        self.device = torch.get_default_device()
        self.modules: dict[str, nn.Module] = {}
        self.homes: dict[str, tuple[nn.Module, str]] = {}
        self.constants: dict[str, Tensor] = {}
        self.numbers: dict[str, int] = {}
        self.slots: dict[str, list[Size]] = {}
        self.calls: dict[str, Call] = {}
        self._held: dict[tuple[type, str], Any] = {}

    def module(self) -> nn.Module:
        """Return the model."""
        specs = self.program.graph_module.signature.input_specs
        state = {
            spec.arg.name
            for each in specs
            for spec in (each.parameter, each.buffer, each.tensor_constant)
            if spec is not None
        }
        for name in (name for each in specs if each.user_input is not None for name in each.user_input.arg.names()):
            if name in self.graph.tensor_values:
                self.slots[name] = self.graph.tensor_values[name].sizes
            elif name in self.graph.sym_int_values:
                self.numbers[name] = self.graph.sym_int_values[name].usual
        ops, name_of = flattened(self.graph)
        wanted = self.program.graph_module.signature.output_specs
        pairs = zip(self.graph.outputs, wanted, strict=False)
        outputs = [name_of(name) for made, spec in pairs if spec.user_output is not None for name in made.names()]
        tree = call_tree(ops, root_class(self.graph), (*self.slots, *self.numbers), outputs, state)
        self._note_calls(tree)
        root: Any = _made(_Whole, tree, None)
        self.modules[""] = root
        owners = {each.held.name.rpartition(".")[0] for each in specs if each.held is not None}
        for path in sorted({*self.calls, *owners} - {""}, key=lambda path: path.count(".")):
            self._module(path)
        self._fill()
        whole = self._runner(tree, results=outputs)
        root.slots, root.whole = self.slots, lambda given: whole({**self.numbers, **given})
        _name_arguments(root, self.slots)
        return root  # type: ignore[no-any-return] # a `_Whole`

    def _note_calls(self, call: Call) -> None:
        for part in call.parts:
            if isinstance(part, Call) and part.cls:
                self.calls.setdefault(part.path, part)
                self._note_calls(part)

    def _module(self, path: str) -> nn.Module:
        if path not in self.modules:
            above, _, name = path.rpartition(".")
            call = self.calls.get(path)
            made = _made(_Part, call, layer_of(call, self._shape) if call is not None else None)
            self._module(above).add_module(name, made)
            self.modules[path] = made
        return self.modules[path]

    def _shape(self, name: str) -> Shape | None:
        meta = self.graph.tensor_values.get(name)
        return None if meta is None else meta.usual

    def _fill(self) -> None:
        """Register parameters and buffers; those that are one tensor in the file are one here."""
        for spec in self.program.graph_module.signature.input_specs:
            if spec.held is not None:
                self._register(spec.held)
            elif spec.tensor_constant is not None:
                name = spec.tensor_constant.arg.name
                self.constants[name] = self._empty(self.graph.tensor_values[name])

    def _register(self, held: Parameter | Buffer) -> None:
        path, _, attribute = held.name.rpartition(".")
        owner = self.modules[path]
        key = type(held), (self.program.shared or {}).get(held.name, held.name)
        if key not in self._held:
            meta = self.graph.tensor_values[held.arg.name]
            empty = self._empty(meta)
            is_buffer = isinstance(held, Buffer)
            self._held[key] = empty if is_buffer else nn.Parameter(empty, requires_grad=meta.requires_grad)
        if isinstance(held, Buffer):
            owner.register_buffer(attribute, self._held[key], persistent=held.persistent)
        else:
            owner.register_parameter(attribute, self._held[key])
        self.homes[held.arg.name] = owner, attribute

    def _empty(self, meta: TensorMeta) -> Tensor:
        dtype = dtype_of(meta.dtype)
        if self.device.type == "meta":
            return torch.empty(meta.usual, dtype=dtype)
        return torch.rand(meta.usual).to(dtype) if dtype.is_floating_point else torch.zeros(meta.usual, dtype=dtype)

    def _runner(self, call: Call, results: list[str] | None = None) -> Callable[[dict[str, Any]], Any]:
        """Return what runs a call on the values that it reads, and returns what it makes."""
        steps = [self._step(part) for part in call.parts]
        makes = call.makes if results is None else results
        homes, constants = self.homes, self.constants

        def state(name: str) -> Any:
            owner = homes.get(name)
            return constants[name] if owner is None else getattr(*owner)

        read = {name for part in call.parts if isinstance(part, Call) and not part.cls for name in part.reads}
        own = [name for name in (*read, *makes) if name in homes or name in constants]

        def run(values: dict[str, Any]) -> Any:
            values.update((name, state(name)) for name in own)
            for step in steps:
                step(values)
            made = tuple(values[name] for name in makes)
            return made[0] if len(made) == 1 else made

        return run

    def _step(self, part: Call | Op) -> Callable[[dict[str, Any]], None]:
        if isinstance(part, Op):
            return Operator(part, self.device).run
        return self._module_step(part) if part.cls else self._function_step(part)

    def _module_step(self, call: Call) -> Callable[[dict[str, Any]], None]:
        module: Any = self.modules[call.path]
        run, reads, makes = self._runner(call), call.reads, call.makes

        def step(values: dict[str, Any]) -> None:
            module.coming.append(lambda args: run(dict(zip(reads, args, strict=True))))
            result = module(*(values[name] for name in reads))
            values.update(zip(makes, (result,) if len(makes) == 1 else result, strict=True))

        return step

    def _function_step(self, call: Call) -> Callable[[dict[str, Any]], None]:
        """Return a step that runs operators as the torch function that called them, which may be watched."""
        operators = [Operator(op, self.device) for op in call.ops()]
        reads, makes = call.reads, call.makes

        def function(*args: Any) -> Any:
            values = dict(zip(reads, args, strict=True))
            for operator in operators:
                operator.run(values)
            made = tuple(values[name] for name in makes)
            return made[0] if len(made) == 1 else made

        function.__name__ = call.name

        def step(values: dict[str, Any]) -> None:
            args = tuple(values[name] for name in reads)
            seen = args or (None,)  # without any argument torch would not look for modes
            watched = any(operator.overload is not None for operator in operators) and has_torch_function(seen)
            result = handle_torch_function(function, seen, *args) if watched else function(*args)
            values.update(zip(makes, (result,) if len(makes) == 1 else result, strict=True))

        return step


def _made(kind: type[_Part], call: Call | None, layer: nn.Module | None) -> Any:
    """Return an empty module of a class with the name of the original, which is derived from it if it is torch's."""
    name = call.name if call is not None and call.name.isidentifier() else "Module"
    bases = (kind,) if layer is None else (kind, type(layer))
    made: Any = type(name, bases, {"__init__": nn.Module.__init__})()  # not the layer's, which takes its settings
    made.coming = deque()
    if layer is not None:
        vars(made).update({key: value for key, value in vars(layer).items() if not key.startswith("_")})
        for name, parameter in own_parameters(layer).items():
            if parameter is None:
                made.register_parameter(name, None)
    made.training = False
    return made


def _name_arguments(root: nn.Module, names: Iterable[str]) -> None:
    """Let `inspect.signature` tell the program's arguments."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    named = [inspect.Parameter(name, kind) for name in names if name.isidentifier()]

    def forward(self: _Whole, *args: Any, **kwargs: Any) -> Any:
        return _Whole.forward(self, *args, **kwargs)

    forward.__signature__ = inspect.Signature([inspect.Parameter("self", kind), *named])  # type: ignore[attr-defined]
    type(root).forward = forward
