"""Runs the cases in real processes with gloo, as a user's own script would, and writes down what each rank does.

Run as `python real_ranks.py FOLDER`: for each number of ranks that cases have it starts so many processes, each of
which writes `RANKS-RANK.json`: for each case its collectives (operator, bytes of tensors read and made) and the peak of
what torch's allocator had out.
"""

from __future__ import annotations

import json
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._C._profiler import _EventType as EventType
from torch.distributed._functional_collectives import all_to_all_single_autograd
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.pipelining import PipelineStage, Schedule1F1B, ScheduleGPipe, ScheduleInterleaved1F1B
from torch.distributed.tensor import DTensor, Replicate, Shard
from torch.distributed.tensor.experimental import context_parallel
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    PrepareModuleInput,
    RowwiseParallel,
    SequenceParallel,
    parallelize_module,
)
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.checkpoint import CheckpointPolicy, create_selective_checkpoint_contexts

try:
    from torch.distributed.tensor.experimental._context_parallel import _attention as attention
except ImportError:  # before torch 2.10
    from torch.distributed.tensor.experimental import _attention as attention

sys.path.insert(0, str(Path(__file__).parent.parent))
from sharding.cases import CASES, Case
from sharding.models import EXPERTS, MODELS, TOKENS, TOP_K, WIDTH, LlamaStage, ResNetStage, Stage, blocks, inputs_of

REPEATS = 16
"""gloo lets go of what it has sent when it comes to it: the least of many peaks, seen three times, is without that."""
KERNELS_WITH_WORKSPACE = ("aten::convolution_backward", "aten::mm", "aten::addmm", "aten::bmm", "aten::add_")
"""Of these `add_` makes no result: on the CPU it copies what it adds where that has another dtype, as the gradients in
bfloat16 that FSDP adds up in float32 (`compute_types` in aten/src/ATen/TensorIterator.cpp)."""


class Collectives(TorchDispatchMode):
    """Notes each collective, with the bytes of the tensors that it is given and that it makes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, int, int]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if any(issubclass(each, (DTensor, dist._functional_collectives.AsyncCollectiveTensor)) for each in types):
            return NotImplemented
        output = func(*args, **(kwargs or {}))
        moves = not func.__name__.startswith(("wait_tensor", "_wrap_tensor_autograd"))
        if func.namespace in ("c10d", "_c10d_functional") and moves:
            given = [each for each in tree_leaves(args) if isinstance(each, Tensor)]
            made = [each for each in tree_leaves(output) if isinstance(each, Tensor)]
            self.seen.append((func.name(), max(map(size, given)), max(map(size, made), default=0)))
        return output


def size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def keep(context, op, *args, **kwargs) -> CheckpointPolicy:
    """Keep the results of matrix products, convolutions and attention; of those that are summed the sum alone."""
    dear = ("mm", "addmm", "bmm", "convolution", "_scaled_dot_product_flash_attention_for_cpu", "reduce_scatter_tensor")
    kept = op.name().partition("::")[2].partition(".")[0] in dear
    made = getattr(context, "op_output", None)
    if isinstance(made, DTensor) and made.placements[0].is_partial():
        kept = False
    return CheckpointPolicy.MUST_SAVE if kept else CheckpointPolicy.PREFER_RECOMPUTE


def llama_plan(model: nn.Module) -> dict:
    plan = {}
    if model.model.embed_tokens is not None:
        plan["model.embed_tokens"] = RowwiseParallel(input_layouts=Replicate())
    if model.lm_head is not None:
        plan["lm_head"] = ColwiseParallel(output_layouts=Replicate())
    for number in range(len(model.model.layers)):
        at = f"model.layers.{number}"
        plan |= {f"{at}.self_attn.{name}_proj": ColwiseParallel() for name in "qkv"}
        plan |= {f"{at}.self_attn.o_proj": RowwiseParallel()}
        if hasattr(model.model.layers[number].self_attn, "q_norm"):  # as torchtitan splits Qwen3
            plan |= {
                f"{at}.self_attn.{name}_norm": SequenceParallel(sequence_dim=2, use_local_output=True) for name in "qk"
            }
        if not hasattr(model.model.layers[number].mlp, "experts"):
            plan |= {f"{at}.mlp.{name}_proj": ColwiseParallel() for name in ("gate", "up")}
            plan |= {f"{at}.mlp.down_proj": RowwiseParallel()}
    return plan


def split_experts(model: nn.Module, mesh: DeviceMesh) -> None:
    """Split experts as transformers does it itself."""
    from transformers.distributed.tensor_parallel import apply_tensor_parallelism

    for number in range(len(model.model.layers)):
        at = f"model.layers.{number}.mlp.experts"
        styles = {f"{at}.gate_up_proj": "packed_colwise", f"{at}.down_proj": "rowwise", at: "moe_tp_experts"}
        apply_tensor_parallelism(model, mesh, styles)


def sequence_parallel_plan(model: nn.Module) -> dict:
    """Split Llama as torchtitan does."""
    part, whole = Shard(1), Replicate()
    plan = llama_plan(model)
    if model.model.embed_tokens is not None:  # positions are made of the length of the embedding's result
        plan["model.embed_tokens"] = RowwiseParallel(input_layouts=whole, output_layouts=part, use_local_output=False)
        plan["model.layers.0"] = PrepareModuleInput(
            input_layouts=part, desired_input_layouts=part, use_local_output=True
        )
    if model.lm_head is not None:
        plan["model.norm"] = SequenceParallel(use_local_output=True)
        plan["lm_head"] = ColwiseParallel(input_layouts=part, output_layouts=whole)
    for number in range(len(model.model.layers)):
        at = f"model.layers.{number}"
        plan |= {f"{at}.{name}_layernorm": SequenceParallel() for name in ("input", "post_attention")}
        plan[f"{at}.self_attn"] = PrepareModuleInput(
            input_kwarg_layouts={"hidden_states": part}, desired_input_kwarg_layouts={"hidden_states": whole}
        )
        plan[f"{at}.mlp"] = PrepareModuleInput(input_layouts=part, desired_input_layouts=whole)
        plan |= {f"{at}.{name}": RowwiseParallel(output_layouts=part) for name in ("self_attn.o_proj", "mlp.down_proj")}
    return plan


def mesh_of(case: Case) -> DeviceMesh:
    sizes = {"pp": case.pp, "ddp": case.ddp, "fsdp": case.shards, "tp": case.tp}
    sizes = {name: size for name, size in sizes.items() if size > 1}
    return init_device_mesh("cpu", tuple(sizes.values()), mesh_dim_names=tuple(sizes))


class Experts:
    """Sends tokens to the ranks of their experts and back, in place of a mixture's own forward: half of them to each.

    `run` runs this rank's experts on rows, with the number of each row's expert.
    """

    def __init__(self, run: Callable[[Tensor, Tensor], Tensor], mesh: DeviceMesh) -> None:
        self.run, self.group, self.ranks = run, mesh.get_group("ep"), mesh["ep"].size()

    def __call__(self, rows: Tensor, index: Tensor, weights: Tensor) -> Tensor:
        index = (torch.arange(index.numel()) % EXPERTS).view_as(index)
        order = torch.argsort(index.flatten())
        sent = rows[order // TOP_K]
        counts = torch.zeros(EXPERTS, dtype=torch.long).scatter_add_(0, index.flatten(), torch.ones_like(order))
        coming = torch.empty_like(counts)
        dist.all_to_all_single(coming, counts, group=self.group)
        sends, receives = (each.view(self.ranks, -1).sum(1).tolist() for each in (counts, coming))
        numbers = torch.arange(EXPERTS // self.ranks).repeat(self.ranks).repeat_interleave(coming)
        here = all_to_all_single_autograd(sent, receives, sends, self.group)
        back = all_to_all_single_autograd(self.run(here, numbers), sends, receives, self.group)
        made = torch.empty_like(back)
        made[order] = back
        return (made.view(len(rows), TOP_K, -1) * weights.unsqueeze(-1)).sum(1)


def run_list(experts: nn.ModuleList) -> Callable[[Tensor, Tensor], Tensor]:
    def run(rows: Tensor, numbers: Tensor) -> Tensor:
        order = torch.argsort(numbers)
        parts = rows[order].split(torch.bincount(numbers, minlength=len(experts)).tolist())
        made = torch.cat([expert(part) for expert, part in zip(experts, parts, strict=True)])
        back = torch.empty_like(made)
        back[order] = made
        return back

    return run


def run_stack(forward: Callable, rows: Tensor, numbers: Tensor) -> Tensor:
    return forward(rows, numbers.unsqueeze(-1), rows.new_ones(len(rows), 1))


def routed(moe: nn.Module, experts: Experts) -> Callable[[Tensor], Tensor]:
    def forward(x: Tensor) -> Tensor:
        rows = x.reshape(-1, WIDTH)
        weights, index = torch.topk(torch.softmax(moe.gate(rows), dim=-1, dtype=torch.float32), TOP_K)
        weights = (weights / weights.sum(dim=-1, keepdim=True)).to(x.dtype)
        return experts(rows, index, weights).reshape(x.shape)

    return forward


def share_experts(case: Case, model: nn.Module) -> None:
    """Leave each rank its experts, and shard them among the ranks that have the same."""
    mesh = init_device_mesh("cpu", (case.fsdp // case.ep, case.ep), mesh_dim_names=("efsdp", "ep"))
    first, share = mesh.get_local_rank("ep") * EXPERTS // case.ep, EXPERTS // case.ep
    for layer in model.layers:
        experts = layer.moe.experts
        if isinstance(experts, nn.ModuleList):
            layer.moe.experts = experts = nn.ModuleList(experts[first : first + share])
            layer.moe.forward = routed(layer.moe, Experts(run_list(experts), mesh))
            units = list(experts)
        else:
            for name, parameter in list(experts.named_parameters()):
                setattr(experts, name, nn.Parameter(parameter.detach()[first : first + share].clone()))
            experts.num_experts, units = share, experts
            experts.forward = Experts(partial(run_stack, experts.forward), mesh)
        fully_shard(units, mesh=mesh["efsdp"], mp_policy=precision(case))


def ring(mesh: DeviceMesh, forward: bool, op, args, kwargs):
    """Run torch's ring attention with the kernel of the CPU, which the handlers that torch brings lack."""
    local = [each.to_local() if isinstance(each, DTensor) else each for each in args]
    run = attention._templated_ring_attention if forward else attention._templated_ring_attention_backward
    names = [argument.name for argument in op._schema.arguments]
    given = {**dict(zip(names, local, strict=False)), **kwargs}
    if not forward:
        given["grad_out_name"] = "grad_out"
    found = run(mesh.get_group(), 2, op, **given)
    return tuple(DTensor.from_local(each, mesh, [Shard(2)], run_check=False) for each in found)


def can_run(case: Case) -> bool:
    """Tell whether torch's ring attention, if a case needs it, takes the CPU's kernel: since torch 2.10."""
    return case.cp == 1 or hasattr(attention, "custom_ops")


@contextmanager
def sequences_shared(case: Case, given: Tensor) -> Iterator[None]:
    """Cut the batch's sequences, and let attention run among the ranks that share them: torch's `context_parallel`."""
    if case.cp == 1:
        yield
        return
    sizes = {"pp": case.pp, "fsdp": case.fsdp, "cp": case.cp, "tp": case.tp}
    mesh = init_device_mesh("cpu", tuple(sizes.values()), mesh_dim_names=tuple(sizes))["cp"]
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    attention.custom_ops[kernel.default] = partial(ring, mesh, True)
    backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward.default
    attention.custom_ops[backward] = partial(ring, mesh, False)
    attention._cp_options.enable_load_balance = case.model == "llama"  # only causal attention takes it
    with context_parallel(mesh, buffers=[given], buffer_seq_dims=[1], no_restore_buffers={given}):
        yield


def precision(case: Case) -> MixedPrecisionPolicy:
    return MixedPrecisionPolicy(torch.bfloat16, torch.float32) if case.amp else MixedPrecisionPolicy()


def checkpointed(case: Case, model: nn.Module, parts: list[nn.Module]) -> list[nn.Module]:
    how = {"context_fn": partial(create_selective_checkpoint_contexts, keep)} if case.checkpoint != "full" else {}
    for name, module in list(model.named_modules()):
        if any(module is part for part in parts):
            parent = model.get_submodule(name.rpartition(".")[0])
            wrapped = checkpoint_wrapper(module, preserve_rng_state=False, **how)
            setattr(parent, name.rpartition(".")[2], wrapped)
    return blocks(case.model, model)


def spread(case: Case, mesh: DeviceMesh, span: range | None = None) -> tuple[nn.Module, nn.Module]:
    """Return the model, or the stage with some of its blocks, and what is called."""
    model = MODELS[case.model]()
    if span is not None:
        model = {"llama": LlamaStage, "resnet": ResNetStage}.get(case.model, Stage)(model, span)
    if case.tp > 1:
        parallelize_module(model, mesh["tp"], sequence_parallel_plan(model) if case.sp else llama_plan(model))
        if case.model == "mixtral":
            split_experts(model, mesh["tp"])
    if case.ep > 1:
        share_experts(case, model)
    parts = blocks(case.model, model)
    if case.checkpoint != "none":
        parts = checkpointed(case, model, parts)
    if case.shards > 1:
        policy = precision(case)
        along = mesh["ddp", "fsdp"] if case.ddp > 1 else mesh["fsdp"]
        kept = {} if case.reshard else {"reshard_after_forward": False}
        for part in (*parts, model):
            fully_shard(part, mesh=along, mp_policy=policy, **kept)
        for module in model.modules():
            if isinstance(module, FSDPModule):
                module.set_force_sum_reduction_for_comms(True)  # gloo cannot average
    called = DistributedDataParallel(model) if case.ddp > 1 and case.shards == 1 else model
    return model, called


def optimizer_of(case: Case, model: nn.Module) -> torch.optim.Optimizer:
    kinds = {True: [], False: []}
    for parameter in model.parameters():
        kinds[isinstance(parameter, DTensor)].append(parameter)
    groups = [{"params": each} for each in kinds.values() if each]
    classes = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}
    return classes[case.optimizer](groups, lr=0.1, foreach=case.foreach)


def held(tensors) -> int:
    parts = [tensor._local_tensor if isinstance(tensor, DTensor) else tensor for tensor in tensors]
    return sum({part.untyped_storage()._cdata: part.untyped_storage().nbytes() for part in parts}.values())


def peak_of(profile: torch.profiler.profile) -> int:
    """Return the most that torch's allocator had out at once beyond what it began with.

    What is told apart: gloo's buffers, which it makes in threads of its own or within a collective, and copies of its
    arguments that a kernel makes, as those of oneDNN do. What this thread makes may be let go of by one of gloo's, if
    that is the last to need it: so memory is followed by its address.
    """
    events = sorted(events_in(profile), key=lambda each: each.start_time_ns)
    memory = [each for each in events if each.tag == EventType.Allocation]
    threads = [each.start_tid for each in memory]
    own = max(set(threads), key=threads.count)
    apart = joined(
        (each.start_time_ns, each.end_time_ns)
        for each in events
        if each.tag == EventType.TorchOp and (each.name.startswith("c10d::") or each.name in KERNELS_WITH_WORKSPACE)
    )
    starts = [start for start, _ in apart]
    others: set[int] = set()
    live = most = 0
    for event in memory:
        address, size = event.extra_fields.ptr, event.extra_fields.alloc_size
        if size < 0 and address in others:
            others.discard(address)
        elif size > 0 and event.start_tid != own:
            others.add(address)
        else:
            before = bisect_right(starts, event.start_time_ns)
            inside = before > 0 and event.start_time_ns <= apart[before - 1][1]
            most = most if inside else max(most, live + size)
            live += size
    return most


def events_in(profile: torch.profiler.profile) -> Iterator[Any]:
    waiting = list(profile.profiler.kineto_results.experimental_event_tree())
    while waiting:
        event = waiting.pop()
        waiting += event.children
        yield event


def joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return spans in order, those that overlap as one."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def pipeline(case: Case, mesh: DeviceMesh, given: Tensor) -> tuple[nn.Module, list, Callable[[], None]]:
    """Return this rank's part of the model, its stages, and what runs a step's forward and backward."""
    rank, count = mesh.get_local_rank("pp"), case.pp * case.chunks
    depth = len(blocks(case.model, MODELS[case.model]()))
    share, more = divmod(depth, count)
    starts = [at * share + min(at, more) for at in range(count + 1)]
    spans = [range(*starts[at : at + 2]) for at in range(rank, count, case.pp)]
    models = [spread(case, mesh, span)[0] for span in spans]
    tokens = TOKENS // case.cp // (case.tp if case.sp else 1)
    sizes = (models[0].blocks[0].conv1.in_channels, *given.shape[2:]) if case.model == "resnet" else (tokens, WIDTH)
    passed = torch.empty(len(given) // case.micro_batches, *sizes, requires_grad=True)
    if case.amp and case.shards > 1:
        passed = passed.to(torch.bfloat16)
    stages = [
        PipelineStage(
            model,
            at,
            count,
            torch.device("cpu"),
            input_args=(given[: len(passed)] if at == 0 else passed,),
            output_args=(passed,),
            group=mesh.get_group("pp"),
        )
        for at, model in zip(range(rank, count, case.pp), models, strict=True)
    ]
    first, last = rank == 0, rank == case.pp - 1
    loss = (lambda output, target: output.sum()) if case.trained else None
    how = {"n_microbatches": case.micro_batches, "loss_fn": loss}
    if case.schedule == "interleaved":
        schedule = ScheduleInterleaved1F1B(stages, **how)
    else:
        schedule = {"gpipe": ScheduleGPipe, "1f1b": Schedule1F1B}[case.schedule](stages[0], **how)

    def step() -> None:
        autocast = torch.autocast("cpu", torch.bfloat16, enabled=case.amp is not None and case.fsdp == 1)
        with autocast, torch.set_grad_enabled(case.trained):
            target = torch.zeros(case.micro_batches) if last and case.trained else None
            schedule.step(*([given] if first else []), target=target, **quiet)

    quiet = {"return_outputs": False} if "return_outputs" in signature(schedule.step).parameters else {}
    return nn.ModuleList(models), stages, step


def buffers_of(stages: list) -> list[Tensor]:
    """Return what stages receive into, which they have made for all micro-batches at once."""
    kept = [each for stage in stages for each in (stage.args_recv_info, stage.grad_recv_info)]
    found = [getattr(info, "buffer", None) for infos in kept for each in infos.values() for info in each]
    return [buffer for buffer in found if isinstance(buffer, Tensor)]


def run(case: Case) -> dict:
    given = inputs_of(case.model)
    with sequences_shared(case, given):
        return run_on(case, given)


def run_on(case: Case, given: Tensor) -> dict:
    mesh = mesh_of(case)
    stages: list = []
    if case.pp > 1:
        model, stages, forward_and_backward = pipeline(case, mesh, given)
        called = model
    else:
        model, called = spread(case, mesh)
    model.train(case.trained)
    optimizer = optimizer_of(case, model)

    def step() -> None:
        if stages:
            forward_and_backward()
            if not case.trained:
                return
            optimizer.step()
            optimizer.zero_grad()
            return
        autocast = torch.autocast("cpu", torch.bfloat16, enabled=case.amp is not None and case.shards == 1)
        with autocast:
            output = called(given)
        loss = getattr(output, "logits", output).sum()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    for _ in range(2):  # after its first step DDP makes its buckets anew
        step()
    with Collectives() as collectives:
        step()
    state = [each for values in optimizer.state.values() for each in values.values() if isinstance(each, Tensor)]
    inputs = [] if stages and not any(stage.is_first for stage in stages) else [given]
    before = held([*model.parameters(), *model.buffers(), *state, *inputs, *buffers_of(stages)])
    if called is not model:  # DDP's buckets are as large as what it reduces
        before += sum(made for name, _, made in collectives.seen if "allreduce" in name)
    peaks = []
    for _ in range(REPEATS):
        dist.barrier()
        for stage in stages:
            stage.clear_runtime_states()  # which keep what a forward alone made until the next step
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
            step()
        peaks.append(peak_of(profile))
        settled = torch.tensor(len(peaks) > 5 and peaks.count(min(peaks)) > 2, dtype=torch.uint8)
        dist.all_reduce(settled, dist.ReduceOp.MIN)  # all ranks run as many steps
        if settled:
            break
    return {"collectives": collectives.seen, "peak": before + min(peaks)}


def main(rank: int, ranks: int, folder: str) -> None:
    torch.set_num_threads(1)
    torch.backends.mha.set_fastpath_enabled(False)  # which the program does without, to tell layers apart
    dist.init_process_group("gloo", init_method=f"file://{folder}/store-{ranks}", rank=rank, world_size=ranks)
    torch.manual_seed(0)
    found = {str(case): run(case) for case in CASES if case.ranks == ranks and can_run(case)}
    Path(folder, f"{ranks}-{rank}.json").write_text(json.dumps(found))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    how = "fork" if sys.platform == "linux" else "spawn"  # forks have what is imported here
    with torch.device("meta"):
        MODELS["llama"]()  # imports transformers' module
    for ranks in sorted({case.ranks for case in CASES}):
        torch.multiprocessing.start_processes(main, args=(ranks, sys.argv[1]), nprocs=ranks, start_method=how)
