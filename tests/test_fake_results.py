"""Operators on tensors without values, which are answered as torch's own mode did before."""

from __future__ import annotations

import msgspec
import pytest
import torch
from insides_without import insides_without
from torch import Tensor, nn

from alexnet_cli import inspect
from alexnet_cli.session.how import training_step
from alexnet_cli.session.session import Variation
from alexnet_cli.torch_insides import FakeResults, fake_tensor_mode, storage_behind

aten = torch.ops.aten


class Counted:
    """An operator that counts how often it is run."""

    def __init__(self, kernel):
        self.kernel = kernel
        self.calls = 0

    def __call__(self, *args, **kwargs):
        self.calls += 1
        return self.kernel(*args, **kwargs)


@pytest.fixture
def known():
    with fake_tensor_mode()(allow_non_fake_inputs=True):
        yield FakeResults.of_active_mode()


def described(each):
    if not isinstance(each, Tensor):
        return each
    size = each.untyped_storage().nbytes()
    keys = str(torch._C._dispatch_key_set(each))
    return type(each), each.shape, each.stride(), each.storage_offset(), each.dtype, each.device, size, keys


def listed(output):
    return list(output) if isinstance(output, (list, tuple)) else [output]


REPEATED = {
    "mm": lambda: (torch.empty(3, 4), torch.empty(4, 5)),
    "add.Tensor": lambda: (torch.empty(3, 4), torch.empty(4, dtype=torch.bfloat16)),
    "t": lambda: (torch.empty(3, 4),),
    "select.int": lambda: (torch.empty(3, 4), 0, 1),
    "split.Tensor": lambda: (torch.empty(6, 4), 2),
    "_unsafe_view": lambda: (torch.empty(6, 4), [2, 12]),
    "add_.Tensor": lambda: (torch.empty(3, 4), torch.empty(3, 4)),
    "native_layer_norm": lambda: (torch.empty(3, 4), [4], None, None, 1e-5),
    "_to_copy": lambda: (torch.empty(3, 4).t(),),
    "cat": lambda: ([torch.empty(3, 4), torch.empty(2, 4)],),
    "convolution_backward": lambda: (
        *(torch.empty(2, 3, 8, 8), torch.empty(2, 3, 8, 8), torch.empty(3, 3, 1, 1), [3], [1, 1], [0, 0], [1, 1]),
        *(False, [0, 0], 1, [True, False, True]),
    ),
}


@pytest.mark.parametrize("name", REPEATED)
def test_what_is_known_is_what_torch_gives(known, name):
    packet, _, overload = name.partition(".")
    operator = Counted(getattr(getattr(aten, packet), overload or "default"))
    known.run(operator, REPEATED[name](), {})
    args = REPEATED[name]()
    given, expected = known.run(operator, args, {}), operator.kernel(*args)
    assert operator.calls == 1
    assert type(given) is type(expected)
    for one, other in zip(listed(given), listed(expected), strict=True):
        assert described(one) == described(other)
        if isinstance(args[0], Tensor) and one is not None:
            assert (storage_behind(one) == storage_behind(args[0])) == (
                storage_behind(other) == storage_behind(args[0])
            )
            assert (one is args[0]) == (other is args[0])


def test_other_numbers_shapes_strides_and_dtypes_are_asked_for(known):
    power = Counted(aten.pow.Tensor_Scalar)
    whole, real = torch.empty(4, dtype=torch.int64), torch.empty(4)
    given = [known.run(power, args, {}).dtype for args in [(whole, 2), (whole, 2.0), (real, 2)]]
    assert given == [torch.int64, torch.float32, torch.float32]
    assert known.run(power, (torch.empty(5), 2), {}).shape == (5,)
    copy = Counted(aten.clone.default)
    assert [known.run(copy, (each,), {}).stride() for each in (torch.empty(3, 4), torch.empty(4, 3).t())] == [
        (4, 1),
        (1, 3),
    ]
    assert (power.calls, copy.calls) == (4, 2)


def test_what_depends_on_more_than_shapes_is_always_asked_for(known):
    assert not known.may_keep(aten.nonzero.default, "nonzero")
    assert not known.may_keep(aten._local_scalar_dense.default, "_local_scalar_dense")
    assert not known.may_keep(aten.set_.source_Tensor, "set_")
    assert not known.may_keep(aten.unsqueeze_.default, "unsqueeze_")  # it changes its argument's shape
    number, double = torch.tensor(3), Counted(aten.mul.Tensor)  # a number whose value is known
    assert [int(known.run(double, (number, 2), {})) for _ in range(2)] == [6, 6]
    assert double.calls == 2
    with torch.inference_mode():
        given = torch.empty(3)
        known.run(double, (given, 2), {})
        known.run(double, (given, 2), {})
    assert double.calls == 4


def test_an_operator_that_fails_fails_each_time(known):
    for _ in range(2):
        with pytest.raises(RuntimeError):
            known.run(aten.mm.default, (torch.empty(3, 4), torch.empty(3, 4)), {})


@pytest.mark.parametrize("hidden", ["_DisableTorchDispatch", "_make_subclass", "_get_dispatch_mode"])
def test_without_torchs_names_torch_is_asked(hidden):
    with fake_tensor_mode()():
        assert insides_without({hidden}).FakeResults.of_active_mode() is None


def test_without_its_mode_nothing_is_answered():
    assert FakeResults.of_active_mode() is None


class Small(nn.Module):
    """Layers that mixed precision treats differently, with views, writes in place and a tensor used twice."""

    def __init__(self):
        super().__init__()
        self.conv, self.batch = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.norm, self.qkv = nn.LayerNorm(8), nn.Linear(8, 24)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = torch.relu_(self.batch(self.conv(x))).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(self.norm(x)).chunk(3, -1)
        x = x + (q @ k.transpose(1, 2)).softmax(-1) @ v
        x[:, 0] += 1
        return self.head(nn.functional.dropout(x.mean(1), 0.5))


@pytest.mark.parametrize("foreach", [True, False])
def test_a_step_in_mixed_precision_is_the_same_as_torch_gives_it(monkeypatch, foreach):
    step = training_step("adamw", "bf16", foreach=foreach, loss="cross-entropy")
    session = inspect(Small(), input_size="3,8,8", batch_size=4).session

    def traced():
        return msgspec.json.encode(session.once(Variation(step=step, on_meta=True)))  # it names this line

    quick = traced()
    monkeypatch.setattr(FakeResults, "of_active_mode", classmethod(lambda _: None))
    assert traced() == quick
