"""DDP as it is from its second step on, over a process group that sends nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from alexnet_cli.errors import AlexnetError, told
from alexnet_cli.torch_insides import bucket_assignment, ddp_buckets_given

_BUCKET_BYTES = 25 * 2**20
"""What DDP's `bucket_cap_mb` is by default."""


class Arrivals:
    """The order in which the gradients of a model arrive in a step."""

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self.parameters = [parameter for parameter in parameters if parameter.requires_grad]
        self.order: list[int] = []
        hooks = (
            parameter.register_post_accumulate_grad_hook(self._noting(index))  # type: ignore[no-untyped-call]
            for index, parameter in enumerate(self.parameters)
        )
        self._hooks = list(hooks)

    def _noting(self, index: int) -> Callable[[Tensor], None]:
        def note(_: Tensor) -> None:
            self.order.append(index)

        return note

    def settled(self) -> list[list[int]]:
        """Return the parameters of each bucket in the order in which the buckets are reduced.

        DDP makes one bucket at first. After the first step it makes them anew, in the order in which the gradients
        arrived: up to 1 MiB in the first and `bucket_cap_mb` in each other, and the parameter that goes beyond it.
        """
        for hook in self._hooks:
            hook.remove()
        tensors = [self.parameters[index] for index in self.order]
        return bucket_assignment(tensors, [_first_bucket_bytes(), _BUCKET_BYTES], self.order)


def _first_bucket_bytes() -> int:
    return int(getattr(dist, "_DEFAULT_FIRST_BUCKET_BYTES", 2**20))


def replicated(model: nn.Module, group: dist.ProcessGroup, arrivals: Arrivals) -> nn.Module:
    """Wrap a model in DDP with the buckets that it has from its second step on.

    DDP's own all-reduce hands its result over in a future, which a group that sends nothing leaves empty; torch's
    `allreduce_hook`, written out here, does the same work and fills it.

    Raises:
        AlexnetError: DDP refuses the model, as one with parameters that get no gradient.
    """
    if len(arrivals.order) < len(arrivals.parameters):
        silent = len(arrivals.parameters) - len(set(arrivals.order))
        raise AlexnetError(
            f"not supported yet: DDP with parameters that get no gradient ({silent} of {len(arrivals.parameters)})",
            "freeze them, or leave out what is not used",
        )
    try:
        with ddp_buckets_given(arrivals.settled()):
            wrapped = DistributedDataParallel(model, process_group=group, init_sync=False)
        wrapped.register_comm_hook(group, _all_reduced)
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        raise AlexnetError(f"DDP refuses this model: {told(error)}") from error
    return wrapped


def _all_reduced(group, bucket):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - torch refuses text there
    reduced = bucket.buffer().div_(group.size())
    dist.all_reduce(reduced, group=group)
    done: torch.futures.Future[Tensor] = torch.futures.Future()
    done.set_result(reduced)
    return done
