"""Many ranks in one process: process groups, distributed tensors, and what FSDP and DDP do for them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from alexnet_cli.torch_insides.modules import ScriptObject
from alexnet_cli.torch_insides.names import replaced
from alexnet_cli.torch_insides.operators import has_kernel
from alexnet_cli.torch_insides.running import no_dispatch_modes


def fake_store() -> Any:
    """Return the store of a process group that sends nothing; None if no parallel run can be traced with this torch.

    Its collectives must run on shapes: before torch 2.13 a module of torch has to be imported for that, before 2.9 some
    of them cannot.
    """
    try:
        from torch.testing._internal.distributed.fake_pg import FakeStore

        one: Any = torch.ops.c10d.allreduce_.default
        if not has_kernel(one, "Meta"):
            import_module("torch.distributed._tools.fake_collectives")  # registers them
    except (ImportError, AttributeError):
        return None
    return FakeStore() if has_kernel(one, "Meta") else None


def forget_shardings() -> None:
    """Clear what torch remembers of how operators on distributed tensors are split, and by which process groups.

    It outlives the groups: a second mesh would send by those of the first, which are gone.
    """
    distributed: Any = getattr(sys.modules.get("torch.distributed.tensor"), "DTensor", None)
    if distributed is not None:
        distributed._op_dispatcher.sharding_propagator.propagate_op_sharding.cache.cache_clear()
    clear = getattr(torch._C, "_clear_DTensor_sharding_propagator_cache", None)  # since torch 2.10
    if clear is not None:
        clear()


@contextmanager
def shapes_worked_out_unseen() -> Iterator[None]:
    """Keep what is recorded free of the operators by which distributed tensors work out the shapes of results.

    Before torch 2.10 they run in a mode of their own on top of those that are active, which see them as work.
    """
    propagation: Any = sys.modules.get("torch.distributed.tensor._sharding_prop")
    method = "_propagate_tensor_meta_non_cached"
    propagator = getattr(propagation, "ShardingPropagator", None)
    if not hasattr(propagator, method) or hasattr(propagation, "detect_fake_mode"):
        yield
        return
    work_out = getattr(propagator, method)

    def unseen(*args: Any, **kwargs: Any) -> Any:
        with no_dispatch_modes():
            return work_out(*args, **kwargs)

    with replaced(propagator, **{method: unseen}):
        yield


def group_name(group: Any) -> str | None:
    """Return the name of the process group that a collective is given, boxed or not; None if torch hides it."""
    unbox = getattr(torch.distributed.ProcessGroup, "unbox", None)
    try:
        plain = unbox(group) if isinstance(group, ScriptObject or ()) and unbox is not None else group
    except RuntimeError:
        return None
    return getattr(plain, "group_name", None)


def local_tensor(tensor: Tensor) -> Tensor:
    """Return the part of a distributed tensor that this rank holds, or what an unfinished collective will have made."""
    while type(tensor).__module__.startswith("torch.distributed"):
        inner = next(
            (each for name in ("_local_tensor", "elem") if (each := getattr(tensor, name, None)) is not None), None
        )
        if not isinstance(inner, Tensor):
            break
        tensor = inner
    return tensor


def distributed_classes() -> tuple[type, ...]:
    """Return torch's tensors that stand for others: those of many ranks, and those that collectives still make."""
    from torch.distributed import _functional_collectives
    from torch.distributed.tensor import DTensor

    return (DTensor, _functional_collectives.AsyncCollectiveTensor)


_FSDP_FUNCTIONS = ("foreach_all_gather", "foreach_all_gather_copy_out", "foreach_reduce")


@contextmanager
def fsdp_collectives_told(within: Callable[[list[nn.Module]], Any]) -> Iterator[None]:
    """Run what FSDP does for the parameters of some modules inside `within` of these; without its functions it is not.

    Then collectives in the backward name no layer.
    """
    try:
        group: Any = import_module("torch.distributed.fsdp._fully_shard._fsdp_param_group")
    except ImportError:
        group = None
    kept = {name: vars(group)[name] for name in _FSDP_FUNCTIONS if group is not None and name in vars(group)}

    def told(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            params: Any = next((each for each in args if isinstance(each, list)), kwargs.get("fsdp_params", []))
            modules = [getattr(getattr(each, "_module_info", None), "module", None) for each in params]
            with within([module for module in modules if module is not None]):
                return function(*args, **kwargs)

        return run

    with replaced(group, **{name: told(function) for name, function in kept.items()}):
        yield


def all_to_all_differentiable(rows: Tensor, receives: list[int], sends: list[int], group: Any) -> Tensor:
    """Send rows to the ranks of a group and return those that come from them; gradients travel back the same way."""
    collectives: Any = import_module("torch.distributed._functional_collectives")
    made: Tensor = collectives.all_to_all_single_autograd(rows, receives, sends, group)
    return made


class _Ring(torch.autograd.Function):
    """torch's ring attention with the kernel that there is on the CPU, which its own dispatcher does not know."""

    @staticmethod
    def forward(ctx: Any, group: Any, how: dict[str, Any], *tensors: Tensor) -> Any:
        ring = _ring()
        kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        with _balanced(ring, causal=how["is_causal"]):
            made, sums, *_ = ring._templated_ring_attention(group, 2, kernel, *tensors, dropout_p=0.0, **how)
        ctx.save_for_backward(*tensors, made, sums)
        ctx.group, ctx.how = group, how
        return made

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        ring = _ring()
        kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward.default
        query, key, value, made, sums = ctx.saved_tensors
        with _balanced(ring, causal=ctx.how["is_causal"]):
            found = ring._templated_ring_attention_backward(
                ctx.group,
                2,
                kernel,
                grad_out=gradients[0],
                grad_out_name="grad_out",
                query=query,
                key=key,
                value=value,
                out=made,
                logsumexp=sums,
                dropout_p=0.0,
                **ctx.how,
            )
        return (None, None, *found[:3])


def _ring() -> Any:
    """Return torch's module of ring attention, which moved in torch 2.10."""
    folder = "torch.distributed.tensor.experimental"
    try:
        return import_module(f"{folder}._context_parallel._attention")
    except ImportError:
        return import_module(f"{folder}._attention")


def _balanced(ring: Any, *, causal: bool) -> AbstractContextManager[None]:
    """Give each rank a part of the beginning and one of the end, as `context_parallel` does where that balances."""
    return replaced(ring._cp_options, enable_load_balance=causal)


def ring_attention(
    query: Tensor, key: Tensor, value: Tensor, group: Any, *, is_causal: bool, scale: float | None
) -> Tensor:
    """Return torch's ring attention of (batch, heads, tokens, width), of which each rank of a group has some tokens."""
    how = {"is_causal": is_causal, "scale": scale}
    made: Tensor = _Ring.apply(group, how, query, key, value)  # type: ignore[no-untyped-call]
    return made


def bucket_assignment(tensors: list[Any], limits: list[int], indices: list[int]) -> list[list[int]]:
    """Return how DDP puts gradients that arrive in this order into buckets; without its function all are in one."""
    assign = getattr(torch.distributed, "_compute_bucket_assignment_by_size", None)
    return [indices] if assign is None else list(assign(tensors, limits, [], indices)[0])


def ddp_buckets_given(buckets: list[list[int]]) -> AbstractContextManager[None]:
    """Let DDP reduce gradients in these buckets, in this order; without its function for that it has one or its own."""
    name = "_compute_bucket_assignment_by_size"
    given = {name: lambda *_: (buckets[::-1], [sys.maxsize] * len(buckets))}
    return replaced(torch.distributed, **given) if hasattr(torch.distributed, name) else nullcontext()
