"""What is run in real processes and, on shapes alone, by the program: models, layouts and ways to run them."""

from __future__ import annotations

from dataclasses import dataclass

from alexnet_cli.torch_insides import runs_pipelines


@dataclass(frozen=True)
class Case:
    """A model spread over ranks and how it is trained; without `trained` it runs forward alone."""

    model: str
    ddp: int = 1
    fsdp: int = 1
    tp: int = 1
    optimizer: str = "adamw"
    checkpoint: str = "none"
    amp: str | None = None
    foreach: bool = False
    reshard: bool = True
    pp: int = 1
    schedule: str = "1f1b"
    micro_batches: int = 1
    chunks: int = 1
    ep: int = 1
    cp: int = 1
    sp: bool = False
    trained: bool = True

    @property
    def shards(self) -> int:
        return self.fsdp * self.cp

    @property
    def ranks(self) -> int:
        return self.pp * self.ddp * self.shards * self.tp

    def __str__(self) -> str:
        said = [f"{name}{size}" for name in ("ddp", "fsdp", "tp", "ep", "cp") if (size := getattr(self, name)) > 1]
        how = [
            self.optimizer if self.trained else "forward",
            *([self.amp] if self.amp else []),
            *([self.checkpoint] if self.checkpoint != "none" else []),
        ]
        said += ["sp"] if self.sp else []
        said += [f"pp{self.pp}", self.schedule] if self.pp > 1 else []
        return "-".join([self.model, *said, *how, *([] if self.reshard else ["kept"])])


_ALL = (
    Case("encoder", ddp=2),
    Case("encoder", fsdp=2),
    Case("encoder", fsdp=2, optimizer="sgd", checkpoint="full"),
    Case("encoder", fsdp=2, reshard=False, foreach=True),
    Case("resnet", ddp=2, optimizer="sgd"),
    Case("resnet", ddp=2, amp="bf16"),
    Case("resnet", fsdp=2, optimizer="adam"),
    Case("llama", ddp=2, optimizer="sgd"),
    Case("llama", fsdp=2, amp="bf16"),
    Case("llama", fsdp=2, checkpoint="full"),
    Case("llama", tp=2),
    Case("llama", tp=2, optimizer="sgd", checkpoint="full"),
    Case("llama", fsdp=2, tp=2),
    Case("llama", fsdp=2, tp=2, optimizer="sgd", checkpoint="full", amp="bf16"),
    Case("llama", tp=2, sp=True),
    Case("llama", tp=2, sp=True, optimizer="sgd", checkpoint="full"),
    Case("llama", fsdp=2, tp=2, sp=True, amp="bf16"),
    Case("llama", pp=2, tp=2, sp=True, micro_batches=4, optimizer="sgd"),
    Case("llama", tp=2, sp=True, optimizer="sgd", checkpoint="selective"),
    Case("qwen3", tp=2, optimizer="sgd"),
    Case("mixtral", tp=2, optimizer="sgd"),
    Case("encoder", ddp=2, fsdp=2, optimizer="sgd"),
    Case("encoder", fsdp=4),
    Case("encoder", fsdp=2, checkpoint="selective"),
    Case("encoder", pp=2, schedule="gpipe", micro_batches=4),
    Case("encoder", pp=2, micro_batches=4),
    Case("resnet", pp=2, micro_batches=2, optimizer="sgd"),  # one sample alone takes another kernel, with a workspace
    Case("resnet", pp=2, schedule="gpipe", micro_batches=2, optimizer="adam"),
    Case("llama", pp=2, schedule="gpipe", micro_batches=2, optimizer="sgd"),
    Case("llama", pp=2, micro_batches=4, checkpoint="full"),
    Case("llama", pp=2, micro_batches=4, amp="bf16"),
    Case("encoder", pp=2, fsdp=2, micro_batches=4),
    Case("llama", pp=2, fsdp=2, micro_batches=4, amp="bf16", optimizer="sgd"),
    Case("encoder", pp=2, fsdp=2, micro_batches=4, amp="bf16", checkpoint="full"),
    Case("llama", pp=2, tp=2, micro_batches=4, optimizer="sgd"),
    Case("deep", pp=2, schedule="interleaved", micro_batches=4, chunks=2),
    Case("deep", pp=2, fsdp=2, schedule="interleaved", micro_batches=4, chunks=2, optimizer="sgd"),
    Case("encoder", pp=2, cp=2, micro_batches=2, optimizer="sgd"),
    Case("encoder", pp=2, schedule="gpipe", micro_batches=4, trained=False),
    Case("llama", pp=2, micro_batches=4, trained=False),
    Case("encoder", pp=2, fsdp=2, schedule="gpipe", micro_batches=2, trained=False),
    Case("llama", pp=2, tp=2, sp=True, micro_batches=2, trained=False),
    Case("sparse", fsdp=2, ep=2),
    Case("stacked", fsdp=2, ep=2, optimizer="sgd", checkpoint="full"),
    Case("sparse", fsdp=4, ep=2, amp="bf16"),
    Case("encoder", cp=2, optimizer="sgd"),
    Case("llama", cp=2, checkpoint="full"),
    Case("llama", fsdp=2, cp=2, amp="bf16"),
    Case("llama", cp=2, tp=2, optimizer="sgd"),
    Case("llama", cp=2, tp=2, sp=True),
)

CASES = tuple(case for case in _ALL if case.pp == 1 or runs_pipelines())
"""Those that this torch can run."""
