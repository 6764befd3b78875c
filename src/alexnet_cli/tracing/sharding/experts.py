"""Expert parallelism: each rank has some experts of each mixture, and tokens travel to their experts and back.

As transformers' `AllToAllEP` and torchtitan's `ExpertParallel` do it, pairs of a token and one of its top-k experts are
sorted by expert, the numbers of them are exchanged, then the tokens; the results come back the same way, and the sender
weighs and adds them. Without values routing is taken to be uniform: each expert gets as many pairs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from alexnet_cli.errors import AlexnetError, UsageError
from alexnet_cli.torch_insides import all_to_all_differentiable, own_modules, own_parameters
from alexnet_cli.tracing.sharding.recording import aside

Run = Callable[[Tensor, Tensor], Tensor]
"""Runs experts on rows, each with the number of its expert among those of this rank."""

_TOP_K = ("top_k", "topk", "num_experts_per_tok", "num_experts_per_token", "experts_per_token", "n_activated_experts")
_MATRICES = 3
_LOOKED_FOR = (
    "an experts module whose parameters begin with one dimension of all experts and whose forward takes hidden states, "
    "top-k indices and weights (as transformers' mixtures), or a ModuleList of alike experts in a block with one "
    "router, a layer with an output for each expert, and a top_k"
)


@dataclass
class Mixture:
    """The experts of one layer: one module with stacked parameters, or modules in a list, which `block` may route to.

    `block` is None where the experts are called with the routing.
    """

    path: str
    experts: nn.Module
    count: int
    block: nn.Module | None = None
    router: nn.Module | None = None
    top_k: int = 0

    @property
    def owner(self) -> nn.Module:
        """The module whose forward runs the experts."""
        return self.experts if self.block is None else self.block

    @property
    def units(self) -> nn.Module | list[nn.Module]:
        """What FSDP shards as one: it takes no lists of torch, but their modules."""
        return list(self.experts) if isinstance(self.experts, nn.ModuleList) else self.experts


def mixtures_of(model: nn.Module) -> list[Mixture]:
    """Return the mixtures of experts of a model.

    Raises:
        UsageError: there is none whose experts can be separated.
    """
    found: list[Mixture] = []
    why = ""
    for path, module in model.named_modules():
        if isinstance(module, nn.ModuleList):
            mixture, refused = _listed(model, path, module)
        else:
            mixture, refused = _stacked(path, module), ""
        found += [mixture] if mixture is not None else []
        why = why or refused
    if not found:
        raise UsageError(f"--ep needs experts that can be separated, and this model has none{why}", _LOOKED_FOR)
    return found


def _takes_routing(module: nn.Module) -> bool:
    """Tell whether a module's forward takes three tensors: hidden states, the top-k indices and their weights."""
    parameters = inspect.signature(module.forward).parameters.values()
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)
    return sum(each.kind in plain and each.default is inspect.Parameter.empty for each in parameters) == 3  # noqa: PLR2004


def _stacked(path: str, module: nn.Module) -> Mixture | None:
    own = [parameter for parameter in own_parameters(module).values() if parameter is not None]
    first = {parameter.shape[:1] for parameter in own}
    whole = len(own) == len(list(module.parameters()))
    if len(first) != 1 or not whole or all(each.dim() < _MATRICES for each in own) or not _takes_routing(module):
        return None
    return Mixture(path, module, own[0].shape[0])


def _listed(model: nn.Module, path: str, experts: nn.ModuleList) -> tuple[Mixture | None, str]:
    """Return a mixture whose experts are modules in a list, or why what looks like one is none."""
    looks = {tuple((name, each.shape) for name, each in expert.named_parameters()) for expert in experts}
    if len(looks) != 1 or len(experts) < 2 or looks == {()}:  # noqa: PLR2004 - several that are alike
        return None, ""
    if type(experts).forward is not nn.ModuleList.forward and _takes_routing(experts):
        return Mixture(path, experts, len(experts)), ""
    block = model.get_submodule(path.rpartition(".")[0])
    others = [each for each in own_modules(block).values() if each is not None and each is not experts]
    trained = [each for each in others if next(each.parameters(), None) is not None]
    routers = [each for each in trained if _routes(each, len(experts))]
    named = "expert" in path.rpartition(".")[2]
    if not routers:
        return None, f": {path} has no router beside it" if named else ""
    if len(trained) > 1 or any(each is not None for each in own_parameters(block).values()):
        return None, f": the block of {path} has more than experts and a router"
    config = getattr(block, "config", None)
    top_k = next((size for name in _TOP_K for size in (_size(block, name), _size(config, name)) if size), 0)
    if not top_k:
        return None, f": the block of {path} does not say how many experts a token goes to ({_TOP_K[0]})"
    return Mixture(path, experts, len(experts), block, routers[0], top_k), ""


def _routes(module: nn.Module, experts: int) -> bool:
    weight = own_parameters(module).get("weight")
    return weight is not None and weight.dim() == 2 and weight.shape[0] == experts  # noqa: PLR2004 - a matrix


def _size(holder: object, name: str) -> int:
    size = getattr(holder, name, 0)
    return size if isinstance(size, int) else 0


def share_experts(model: nn.Module, ranks: int, group: dist.ProcessGroup) -> list[Mixture]:
    """Leave this rank, the first, its part of the experts of a model on `meta`, and let tokens travel to the others.

    Raises:
        UsageError: the experts cannot be separated, or do not divide among the ranks.
    """
    found = mixtures_of(model)
    for mixture in found:
        if mixture.count % ranks:
            raise UsageError(
                f"{mixture.count} experts of {mixture.path} do not divide among {ranks} ranks",
                f"choose an --ep that divides {mixture.count}",
            )
        _share(mixture, ranks, group)
    return found


def _share(mixture: Mixture, ranks: int, group: dist.ProcessGroup) -> None:
    experts, here = mixture.experts, mixture.count // ranks
    if isinstance(experts, nn.ModuleList):
        del experts[here:]
        run: Run = _OneByOne(experts)
    else:
        for name, parameter in own_parameters(experts).items():
            if parameter is not None:
                own_parameters(experts)[name] = nn.Parameter(parameter.detach()[:here].clone(), parameter.requires_grad)
        run = _Together(experts, experts.forward)
        for name, value in list(vars(experts).items()):
            if "expert" in name and type(value) is int and value == mixture.count:
                setattr(experts, name, here)
    travel = _Travel(run, here, ranks, group, mixture.path)
    mixture.owner.forward = travel if mixture.block is None else _Routed(mixture, travel)


@dataclass
class _Together:
    """Runs experts with stacked parameters, by their own forward: one expert for each row, with a weight of one."""

    experts: nn.Module
    forward: Callable[..., Any]

    def __call__(self, rows: Tensor, numbers: Tensor) -> Tensor:
        with aside():
            numbers = numbers.unsqueeze(-1)
            ones = torch.ones_like(numbers, dtype=rows.dtype)
        made = self.forward(rows, numbers, ones)
        if not isinstance(made, Tensor) or made.shape[:1] != rows.shape[:1]:
            raise AlexnetError("not supported yet: experts that do not return a row for each row that they are given")
        return made


@dataclass
class _OneByOne:
    """Runs experts that are modules, each on its rows."""

    experts: nn.ModuleList

    def __call__(self, rows: Tensor, numbers: Tensor) -> Tensor:
        with aside():
            order = torch.argsort(numbers)
            parts = torch.split(rows[order], shares(len(rows), len(self.experts)))
        outputs = [expert(part) for expert, part in zip(self.experts, parts, strict=True)]
        with aside():
            made = torch.cat(outputs)
            back = torch.empty_like(made)
            back[order] = made
            return back


@dataclass
class _Routed:
    """What a block with a router does: each token goes to its `top_k` experts, by the softmax of the router."""

    mixture: Mixture
    travel: _Travel

    def __call__(self, hidden: Tensor) -> Tensor:
        assert self.mixture.router is not None  # noqa: S101 - for the type checker
        rows = hidden.reshape(-1, hidden.shape[-1])
        scores = torch.softmax(self.mixture.router(rows), dim=-1, dtype=torch.float32)
        weights, index = torch.topk(scores, self.mixture.top_k, dim=-1)
        weights = (weights / weights.sum(dim=-1, keepdim=True)).to(hidden.dtype)
        return self.travel(rows, index, weights).reshape(hidden.shape)


@dataclass
class _Travel:
    """Sends each pair of a token and an expert to the expert's rank, and takes the results back."""

    run: Run
    experts: int
    ranks: int
    group: dist.ProcessGroup
    path: str

    def __call__(self, hidden: Tensor, index: Tensor, weights: Tensor) -> Tensor:
        self._check(hidden, index, weights)
        with aside():
            top_k = index.shape[-1]
            pairs = index.reshape(-1)
            order = torch.argsort(pairs)
            leaving = hidden[order // top_k]
            counts = torch.zeros(self.experts * self.ranks, dtype=torch.long, device=hidden.device)
            counts = counts.scatter_add_(0, pairs, torch.ones_like(pairs))
            incoming = torch.empty_like(counts)
            dist.all_to_all_single(incoming, counts, group=self.group)
            sends = shares(len(leaving), self.ranks)
            receives = [sends[0]] * self.ranks  # the first rank gets the first part of each
            numbers = torch.arange(self.experts, device=hidden.device).repeat(self.ranks)
            numbers = numbers.repeat_interleave(incoming, output_size=sum(receives))
            rows = all_to_all_differentiable(leaving, receives, sends, self.group)
        made = self.run(rows, numbers)
        with aside():
            arrived = all_to_all_differentiable(made, sends, receives, self.group)
            tokens = torch.empty_like(arrived)
            tokens[order] = arrived
            tokens = tokens.view(*weights.shape, tokens.shape[-1])
            return (tokens * weights.unsqueeze(-1)).sum(dim=1)

    def _check(self, hidden: Tensor, index: Tensor, weights: Tensor) -> None:
        tensors = all(isinstance(each, Tensor) and each.dim() == 2 for each in (hidden, index, weights))  # noqa: PLR2004
        if not tensors or index.dtype.is_floating_point or index.shape != weights.shape or len(index) != len(hidden):
            raise AlexnetError(
                f"not supported yet: --ep with {self.path}, which is not called with tokens and their top-k experts"
            )


def shares(total: int, parts: int) -> list[int]:
    """Return how a total is split into parts that differ by one at most, the larger first."""
    each, more = divmod(total, parts)
    return [each + (part < more) for part in range(parts)]
