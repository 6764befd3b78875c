"""Models with a defect in how their training is wired, each beside a twin that has none."""

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it


class Unreached(nn.Module):
    """`spare` is never called, `aside` only for a value that the loss does not depend on."""

    def __init__(self, *, reached=False):
        super().__init__()
        self.body = nn.Linear(8, 8)
        self.aside = nn.Linear(8, 4)
        self.spare = nn.Linear(8, 2)
        self.reached = reached

    def forward(self, x):
        x = self.body(x)
        if self.reached:
            return self.spare(x), self.aside(x)
        self.aside(x.detach()).detach()
        return x


def reached():
    return Unreached(reached=True)


def frozen():
    """What is frozen waits for no gradient."""
    net = Unreached()
    net.aside.requires_grad_(False)
    net.spare.requires_grad_(False)
    return net


class Optimised(nn.Module):
    """Its optimiser has the parameters of the body alone."""

    def __init__(self, *, whole=False, fails=False):
        super().__init__()
        self.body = nn.Linear(8, 8)
        self.head = nn.Linear(8, 2)
        self.whole, self.fails = whole, fails

    def forward(self, x):
        return self.head(self.body(x))

    def configure_optimizers(self):
        if self.fails:
            raise RuntimeError("no trainer yet")
        optimizer = torch.optim.AdamW((self if self.whole else self.body).parameters())
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 10)]


def optimised_whole():
    return Optimised(whole=True)


def optimiser_fails():
    return Optimised(fails=True)


class OptimisedByArguments(Optimised):
    def configure_optimizers(self, weight_decay):
        return torch.optim.AdamW(self.parameters(), weight_decay=weight_decay)


class Grows(nn.Module):
    """It keeps what each step computes: in a buffer, and in a list with its graph."""

    def __init__(self, *, bounded=False):
        super().__init__()
        self.body = nn.Linear(8, 8)
        self.register_buffer("seen", torch.zeros(1, 8))
        self.losses = []
        self.bounded = bounded

    def forward(self, x):
        x = self.body(x)
        seen = torch.cat([self.seen, x.detach()])
        self.seen = seen[-4:].clone() if self.bounded else seen
        loss = x.square().mean()
        self.losses = [loss.detach()] if self.bounded else [*self.losses, loss]
        return loss


def bounded():
    """It holds as much after each step, though more than before the first."""
    return Grows(bounded=True)


class Lazy(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.LazyLinear(4)

    def forward(self, x):
        return self.fc(x)


class Part(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.1)

    def forward(self, x):
        return self.drop(F.relu(self.norm(self.conv(x))))


class FrozenPart(nn.Module):
    """A backbone put into eval mode in its constructor, which `train()` undoes."""

    def __init__(self):
        super().__init__()
        self.backbone = Part()
        self.backbone.requires_grad_(False)
        self.backbone.eval()
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.backbone(x).mean((2, 3)))


class StaysFrozen(FrozenPart):
    """Its twin: `train` leaves the backbone in eval mode."""

    def train(self, mode=True):
        super().train(mode)
        self.backbone.eval()
        return self


class TrainedInEval(nn.Module):
    """A part that is trained, in eval mode because of its forward."""

    def __init__(self, *, in_eval=True):
        super().__init__()
        self.backbone = Part()
        self.head = nn.Linear(4, 2)
        self.in_eval = in_eval

    def forward(self, x):
        if self.in_eval:
            self.backbone.eval()
        return self.head(self.backbone(x).mean((2, 3)))


def trained_in_training():
    return TrainedInEval(in_eval=False)


class FrozenNorm(nn.Module):
    """The parameters of a norm are frozen, its running statistics are not."""

    def __init__(self):
        super().__init__()
        self.part = Part()
        self.part.norm.requires_grad_(False)

    def forward(self, x):
        return self.part(x)


class AlwaysDrops(nn.Module):
    """Dropout, a norm and attention as functions that do not ask for the mode."""

    def __init__(self, *, asks=False):
        super().__init__()
        self.fc = nn.Linear(8, 8)
        self.norm = nn.BatchNorm1d(8)
        self.asks = asks

    def forward(self, x):
        on = self.training if self.asks else True
        x = F.dropout(self.fc(x), 0.3, training=on)
        x = F.batch_norm(x, self.norm.running_mean, self.norm.running_var, training=on)
        x = x.view(-1, 1, 2, 4)
        return F.scaled_dot_product_attention(x, x, x, dropout_p=0.1 if on else 0.0)


def asks_for_the_mode():
    return AlwaysDrops(asks=True)


class NormsOne(nn.Module):
    """A norm over the batch that sees one sample of it."""

    def __init__(self, *, one=True):
        super().__init__()
        self.fc = nn.Linear(8, 8)
        self.norm = nn.BatchNorm1d(8)
        self.one = one

    def forward(self, x):
        x = self.fc(x)
        return self.norm(x.t()[None] if self.one else x)


def norms_all():
    return NormsOne(one=False)


class Copies(nn.Module):
    """The product keeps a copy of what the sigmoid keeps, and the sigmoid is computed twice."""

    def __init__(self, *, copies=True):
        super().__init__()
        self.fc = nn.Linear(8, 8)
        self.out = nn.Linear(8, 4)
        self.copies = copies

    def forward(self, x):
        x = self.fc(x)
        gate = torch.sigmoid(x)
        if self.copies:
            copy = gate.clone()
            return self.out(copy) + self.out(torch.tanh(x)) * torch.tanh(x).sum()
        tanh = torch.tanh(x)
        return self.out(gate) + self.out(tanh) * tanh.sum()


def shares():
    return Copies(copies=False)


class Casts(nn.Module):
    """A norm in float32 inside a model in bfloat16."""

    def __init__(self, *, wide=True):
        super().__init__()
        self.fc = nn.Linear(8, 8)
        self.wide = wide

    def forward(self, x):
        x = self.fc(x)
        y = x.float() if self.wide else x
        return (y * y.pow(2).mean(-1, keepdim=True).rsqrt()).to(x.dtype)


def casts_nothing():
    return Casts(wide=False)


class AllLogits(nn.Module):
    """A language model whose loss takes the logits of all tokens at once, or chunk by chunk, computed again."""

    WORDS, WIDTH = 1000, 64

    def __init__(self, *, chunked=False):
        super().__init__()
        self.words = nn.Embedding(self.WORDS, self.WIDTH)
        self.head = nn.Linear(self.WIDTH, self.WORDS, bias=False)
        self.chunked = chunked

    def loss(self, x, labels):
        return F.cross_entropy(self.head(x), labels)

    def forward(self, tokens):
        x, labels = self.words(tokens).flatten(0, 1), tokens.flatten()
        if not self.chunked:
            return self.loss(x, labels)
        chunks = zip(x.split(8), labels.split(8), strict=True)
        return sum(torch.utils.checkpoint.checkpoint(self.loss, *chunk, use_reentrant=False) for chunk in chunks)


def chunked():
    return AllLogits(chunked=True)


class Classifies(nn.Module):
    """The loss of a classifier has one row of logits for each sample."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 1000)

    def forward(self, x):
        return F.cross_entropy(self.fc(x), torch.zeros(len(x), dtype=torch.long))


def nothing_to_train():
    return nn.Linear(8, 8).requires_grad_(False)
