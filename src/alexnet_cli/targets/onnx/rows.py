"""The rows and totals of a report, from the parts of a graph and what their nodes do."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, count
from typing import Any, NamedTuple

from alexnet_cli.report import Family, Layer, Totals, UncountedOp
from alexnet_cli.tape import Shape
from alexnet_cli.targets.onnx.held import Held
from alexnet_cli.targets.onnx.operators import FAMILY_OF, family_among
from alexnet_cli.targets.onnx.parts import Part
from alexnet_cli.targets.onnx.settings import class_family, settings_of
from alexnet_cli.targets.onnx.walk import Ran, Walk


class Rows(NamedTuple):
    """The rows, the totals, and the position of each part's row."""

    layers: tuple[Layer, ...]
    totals: Totals
    positions: dict[Part, int]


def rows(walk: Walk, held: Mapping[int, Held]) -> Rows:
    """Return a row for each module and each function outside modules that call no other, as a trace has them."""
    root = walk.tree.root
    for part, _ in list(root.preorder()):
        closed = part.kind == "module" and not part.has_modules and not part.has_bodies
        if closed and (part is not root or class_family(part.type)):
            part.parts.clear()  # its functions' work is its own
    shown = list(root.preorder())
    positions = {part: place for place, (part, _) in enumerate(shown)}
    owner = {one.part: next(part for part in one.part.chain() if part in positions) for one in walk.ran}
    positions |= {part: positions[row] for part, row in owner.items()}
    drafts = _drafts(walk, held, [part for part, _ in shown], positions)
    layers = _layers(shown, drafts, walk)
    return Rows(layers, _totals(layers, drafts), positions)


class _Draft:
    """What is gathered for a row."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.ran: list[Ran] = []
        self.inputs: dict[int, Shape | None] = {}
        self.outputs: dict[int, Shape | None] = {}
        self.params = self.param_bytes = self.buffers = self.output_bytes = 0
        self.reuses: str | None = None
        self.uncounted: list[str] = []

    @property
    def macs(self) -> int | None:
        """Its own MACs; None if nothing of them is known."""
        known = sum(one.macs or 0 for one in self.ran)
        return None if self.uncounted and not known else known


def _drafts(walk: Walk, held: Mapping[int, Held], parts: Sequence[Part], positions: Mapping[Part, int]) -> list[_Draft]:
    drafts = [_Draft(part) for part in parts]
    for one in walk.ran:
        draft = drafts[positions[one.part]]
        draft.ran.append(one)
        if one.macs is None:
            draft.uncounted.append(one.as_torch.op)
    for each in held.values():
        _own(each, drafts, positions)
    _connect(walk, drafts, positions)
    return drafts


def _own(each: Held, drafts: Sequence[_Draft], positions: Mapping[Part, int]) -> None:
    draft = drafts[positions[each.owner]]
    if not each.is_parameter:
        draft.buffers += each.elements if each.constant.values is None else 0
        return
    draft.params += each.elements
    draft.param_bytes += each.constant.known.bytes or 0
    for other in each.others:
        sharing = drafts[positions[other]]
        if sharing is not draft:
            sharing.reuses = sharing.reuses or draft.part.path


def _connect(walk: Walk, drafts: Sequence[_Draft], positions: Mapping[Part, int]) -> None:
    """Note what each row reads from outside of it, and what of its own is read there."""
    makers: dict[int, list[_Draft]] = {}
    for one in walk.ran:
        around = [drafts[positions[part]] for part in drafts[positions[one.part]].part.chain()]
        for number in one.reads:
            if number is not None and walk.slots[number].constant is None:
                _pass_on(number, walk.slots[number].known.shape, makers.get(number, []), around)
        makers.update((number, around) for number in one.makes if number is not None)
    for number in walk.outputs:
        _pass_on(number, walk.slots[number].known.shape, makers.get(number, []), [])
    views = {number for one in walk.ran if one.as_torch.nature == "view" for number in one.makes}
    for draft in drafts:
        draft.output_bytes = sum(walk.slots[each].known.bytes or 0 for each in draft.outputs if each not in views)


def _pass_on(number: int, shape: Shape | None, makers: Sequence[_Draft], readers: Sequence[_Draft]) -> None:
    """Let a value be an output of the rows around its maker and an input of those around its reader, if not of both."""
    for draft in readers:
        if draft in makers:
            break
        draft.inputs.setdefault(number, shape)
    for draft in makers:
        if draft in readers:
            break
        draft.outputs.setdefault(number, shape)


def _layers(shown: Sequence[tuple[Part, int]], drafts: Sequence[_Draft], walk: Walk) -> tuple[Layer, ...]:
    numbers, calls = count(1), Counter[str]()
    totals = _sums(drafts)
    layers = []
    for (part, depth), draft in zip(shown, drafts, strict=True):
        is_module = part.kind == "module" or bool(draft.params)
        leaf = not part.parts
        if is_module:
            calls[part.path] += 1
        params, macs, unknown = totals[part]
        layers.append(
            Layer(
                index=next(numbers) if leaf and is_module else None,
                path=part.path,
                type=_type(part, draft),
                kind="module" if is_module else "function",
                family=_family(part, draft),
                depth=depth,
                leaf=leaf,
                call=calls[part.path] if is_module else 1,
                input_shapes=_shapes(draft.inputs.values()),
                output_shapes=_shapes(draft.outputs.values()),
                settings=_settings(part, draft, walk) if leaf else {},
                params=draft.params,
                trainable_params=draft.params,
                param_bytes=draft.param_bytes,
                buffers=draft.buffers,
                params_total=params,
                macs=draft.macs,
                flops=None if draft.macs is None else 2 * draft.macs,
                macs_total=None if unknown and not macs else macs,
                output_bytes=draft.output_bytes,
                in_place=False,
                reuses=draft.reuses,
            )
        )
    return tuple(layers)


def _sums(drafts: Sequence[_Draft]) -> dict[Part, tuple[int, int, bool]]:
    """Return, for each part with all below it, its parameters, its known MACs, and whether others are unknown."""
    sums: dict[Part, tuple[int, int, bool]] = {}
    below: dict[Part, list[tuple[int, int, bool]]] = defaultdict(list)
    for draft in reversed(drafts):
        own = (draft.params, draft.macs or 0, draft.macs is None)
        params, macs, unknown = zip(own, *below[draft.part], strict=True)
        sums[draft.part] = (sum(params), sum(macs), any(unknown))
        if draft.part.parent is not None:
            below[draft.part.parent].append(sums[draft.part])
    return sums


def _shapes(shapes: Iterable[Shape | None]) -> tuple[Shape, ...]:
    """Return shapes; none at all if one is not known."""
    found = list(shapes)
    return tuple(shape for shape in found if shape is not None) if None not in found else ()


def _main(draft: _Draft) -> Ran | None:
    """Return the node that a row without a class is named after: the first that computes MACs, else the first."""
    working = (one for one in draft.ran if one.macs != 0)
    return next(chain(working, draft.ran), None)


def _type(part: Part, draft: _Draft) -> str:
    main = _main(draft)
    if part.type:
        return part.type
    return "Graph" if part.parent is None else main.node.op if main is not None and not part.parts else "Module"


def _family(part: Part, draft: _Draft) -> Family:
    if part.kind == "module" and (known := class_family(part.type)):
        return known
    if part.parts:
        return "container"
    if part.type == "scaled_dot_product_attention":
        return "attention"
    return family_among({_ran_family(one) for one in draft.ran})


def _ran_family(one: Ran) -> Family:
    if one.node.function == "rsqrt":
        return "norm"  # as a trace has it: nothing else takes this root
    family = FAMILY_OF.get(one.node.op, "other")
    return "reshape" if family == "embedding" and one.as_torch.op != "embedding" else family


def _settings(part: Part, draft: _Draft, walk: Walk) -> dict[str, Any]:
    main = _main(draft)
    if main is None:
        return {}
    told = settings_of(main, draft.ran, walk)
    return {**told, "folded": part.folded} if part.folded else told


def _totals(layers: Sequence[Layer], drafts: Sequence[_Draft]) -> Totals:
    params, macs = sum(layer.params for layer in layers), sum(layer.macs or 0 for layer in layers)
    calls: dict[str, list[str]] = defaultdict(list)
    for draft in drafts:
        for op in draft.uncounted:
            calls[op].append(draft.part.path)
    ordered = sorted(calls.items(), key=lambda item: len(item[1]), reverse=True)
    return Totals(
        params=params,
        trainable_params=params,
        frozen_params=0,
        buffers=sum(layer.buffers for layer in layers),
        param_bytes=sum(layer.param_bytes for layer in layers),
        macs=macs,
        flops=2 * macs,
        layers=sum(layer.index is not None for layer in layers),
        uncounted_ops=tuple(UncountedOp(op, len(paths), tuple(dict.fromkeys(paths))) for op, paths in ordered),
    )
