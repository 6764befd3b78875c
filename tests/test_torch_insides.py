"""The private names of torch: this torch has them all, and without any of them a trace still answers."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import insides_without as insides
import pytest
import torch
from insides_without import insides_without
from torch import nn

import alexnet_cli
from alexnet_cli import torch_insides
from alexnet_cli.errors import AlexnetError
from alexnet_cli.tracing import formulas
from alexnet_cli.tracing.meta import backward_rules, rules, stand_ins  # noqa: F401 - registers rules
from alexnet_cli.tracing.recording import conditions
from alexnet_cli.tracing.recording.recorder import Recorder


def test_this_torch_has_every_private_name():
    assert [name for name, there in torch_insides.NAMES.items() if not there] == []
    assert len(torch_insides.NAMES) > 12
    overload = torch.ops.aten.add.Tensor
    for owner, name in [
        *((torch.Tensor, "_is_view"), (torch.library.Library, "_destroy"), (overload, "_schema"), (overload, "_op")),
        *((torch.Tag, "pointwise"), (torch.Tag, "inplace_view"), (overload, "has_kernel_for_dispatch_key")),
        *((nn.Linear(1, 1), name) for name in ("_parameters", "_buffers", "_modules", "_forward_hooks")),
        (torch.ones(1, requires_grad=True).exp().grad_fn, "_sequence_nr"),
    ]:
        assert hasattr(owner, name), name


def test_this_torch_has_every_operator_that_a_rule_or_formula_names():
    missing = {*rules.MISSING, *(name for name in formulas.MISSING if "::" not in name)}
    assert missing <= {"_grouped_mm", "_scaled_grouped_mm"}  # since torch 2.8
    assert not missing or not hasattr(torch.ops.aten, "_grouped_mm")


def test_formulas_for_operators_of_libraries_apply_once_these_are_imported():
    with torch.library._scoped_library("transformers", "FRAGMENT") as library:
        if not hasattr(torch.ops.transformers, "grouped_mm_fallback"):
            library.define("grouped_mm_fallback(Tensor input, Tensor weight, Tensor offs) -> Tensor")
        formula = formulas.formula_for(torch.ops.transformers.grouped_mm_fallback)
    assert formula is not None
    rows, experts = torch.empty(6, 8, device="meta"), torch.empty(4, 8, 16, device="meta")
    assert formula(rows, experts, torch.empty(4, device="meta"), out_val=None) == 6 * 8 * 16
    assert stand_ins._FUSED is not None
    assert stand_ins._WRITTEN_OUT is not None


def test_a_rule_for_an_operator_that_torch_does_not_have_is_left_out(monkeypatch):
    monkeypatch.setattr(rules, "MISSING", [])
    monkeypatch.setattr(rules, "RULES", {})
    rules.meta_rule("relu", "no_such_operator", "relu.no_such_overload")(lambda given: given)
    assert list(rules.RULES) == [torch.ops.aten.relu.default]
    assert rules.MISSING == ["no_such_operator", "relu.no_such_overload"]


def test_attention_stays_written_out_without_the_fused_operator(monkeypatch):
    monkeypatch.setattr(stand_ins, "_FUSED", None)
    query = torch.empty(1, 2, 8, 4, device="meta")
    with stand_ins.fused_attention():
        assert nn.functional.scaled_dot_product_attention(query, query, query).shape == query.shape


def test_names_are_hidden_from_each_file_of_a_copy_alone():
    copy = insides_without({"OpOverload"})
    files = {name for name, value in vars(copy).items() if isinstance(value, ModuleType)}
    assert files == {path.stem for path in Path(copy.__file__).parent.glob("*.py")} - {"__init__"}
    for name in files:
        assert getattr(copy, name) is not getattr(torch_insides, name)
        assert getattr(copy, name).getattr(torch._ops, "OpOverload", None) is None
        assert not hasattr(getattr(torch_insides, name), "getattr")
    assert [name for name, there in copy.NAMES.items() if not there] == ["_ops.OpOverload"]
    assert sys.modules["alexnet_cli.torch_insides"] is torch_insides is alexnet_cli.torch_insides


def test_without_function_modes_off_looking_at_a_tensor_still_works():
    with insides_without({"DisableTorchFunction"}).DisableTorchFunction():
        assert torch.ones(2).shape == (2,)


@pytest.mark.parametrize("hidden", ["_current_autograd_node", "_sequence_nr"])
def test_without_autograds_numbers_there_is_no_node(hidden):
    without, seen = insides_without({hidden}), []
    x = torch.ones(2, requires_grad=True)
    y = x.exp()
    y.register_hook(lambda _: seen.append(without.backward_node()))
    y.sum().backward()
    assert seen == [None]


def test_without_autograds_counter_every_operator_has_the_same_number():
    assert insides_without({"_get_sequence_nr"}).sequence_number() == 0


def test_without_its_address_a_storage_is_known_by_its_object():
    identity = insides_without({"_cdata"}).storage_identity
    x, other = torch.empty(4, device="meta"), torch.empty(4, device="meta")
    assert identity(x.untyped_storage()) == identity(x.view(2, 2).untyped_storage())
    assert identity(x.untyped_storage()) != identity(other.untyped_storage())


def test_without_the_mark_of_a_view_every_tensor_is_one():
    assert insides_without({"_is_view"}).is_view(torch.ones(1))
    assert not torch_insides.is_view(torch.ones(1))


def test_without_dispatch_modes_a_trace_says_so():
    with (
        pytest.raises(AlexnetError, match="has no dispatch modes"),
        insides_without({"TorchDispatchMode"}).DispatchMode(),
    ):
        pass


def test_without_torchs_list_of_constructors_ours_has_the_common_ones():
    torchs, ours = torch_insides.device_constructors(), insides_without({"_device_constructors"}).device_constructors()
    assert {torch.empty, torch.zeros, torch.randn, torch.arange, torch.tensor} <= ours <= set(torchs)


def test_without_fake_tensors_there_is_no_mode_for_them():
    assert insides_without({"FakeTensorMode"}).fake_tensor_mode() is None


def test_without_its_schema_an_operator_has_a_name_only():
    schema = insides_without({"_schema"}).schema_of(torch.ops.aten.add.Tensor)
    assert schema.name.startswith("aten::add")
    assert (schema.arguments, schema.returns, schema.is_mutable) == ((), (), False)


def test_only_registered_overloads_are_found_by_name():
    assert torch_insides.overload_named("aten", "add", "Tensor") is torch.ops.aten.add.Tensor
    for names in (
        ("aten", "add", "name"),
        ("aten", "__class__", "default"),
        ("aten", "none", "default"),
        ("no", "a", "b"),
    ):
        assert torch_insides.overload_named(*names) is None


def test_without_the_class_of_overloads_none_is_found_by_name():
    assert insides_without({"OpOverload"}).overload_named("aten", "add", "Tensor") is None


def test_without_tags_no_operator_is_tagged():
    assert torch_insides.has_tag(torch.ops.aten.add.Tensor, "pointwise")
    assert not insides_without({"pointwise"}).has_tag(torch.ops.aten.add.Tensor, "pointwise")
    assert not insides_without({"tags"}).has_tag(torch.ops.aten.add.Tensor, "pointwise")


def test_without_the_dispatchers_table_no_operator_has_a_kernel():
    linear = torch.ops.aten.linear.default
    assert torch_insides.has_kernel(linear, "CompositeImplicitAutograd")
    assert not insides_without({"has_kernel_for_dispatch_key"}).has_kernel(linear, "CompositeImplicitAutograd")


def test_without_its_inner_function_an_overload_is_called_itself():
    assert insides_without({"_op"}).kernel_of(torch.ops.aten.relu.default) is torch.ops.aten.relu.default
    assert insides_without({"OpOverload"}).kernel_of(torch.ops.aten.relu.default) is torch.ops.aten.relu.default


def test_without_destroy_a_kernel_is_replaced_until_the_library_is_collected():
    query = torch.empty(1, 2, 8, 4, device="meta")
    with insides_without({"_destroy"}).kernel_replaced(
        "scaled_dot_product_attention", lambda *_, **__: query, "AutogradMeta"
    ):
        assert nn.functional.scaled_dot_product_attention(query, query, query) is query


@pytest.mark.parametrize(
    ("hidden", "name", "is_one", "is_none"),
    [
        ("_ConvNd", "ConvNd", nn.ConvTranspose2d(1, 1, 1), nn.Linear(1, 1)),
        ("_NormBase", "NormBase", nn.BatchNorm2d(1), nn.LayerNorm(1)),
        ("_DropoutNd", "DropoutNd", nn.Dropout2d(), nn.ReLU()),
    ],
)
def test_without_their_base_class_layers_are_known_by_the_public_ones(hidden, name, is_one, is_none):
    cls = getattr(insides_without({hidden}), name)
    assert isinstance(is_one, cls)
    assert not isinstance(is_none, cls)


def test_without_the_profilers_raw_events_no_peak_is_known():
    assert insides_without({"kineto_results"}).raw_events(torch.profiler.profile()) is None


def test_without_their_lists_a_module_may_have_hooks():
    assert not torch_insides.has_parts_or_hooks(nn.ReLU())
    assert torch_insides.has_parts_or_hooks(object())


@pytest.mark.parametrize("hidden", ["_GLOBAL_DEVICE_CONTEXT", "_len_torch_function_stack", "_push_mode"])
def test_without_what_torch_keeps_of_it_the_default_device_is_set_back(hidden):
    before = torch.get_default_device()
    with torch_insides.default_device_kept():  # what the public function leaves behind
        with insides_without({hidden}).default_device_kept():
            torch.set_default_device("meta")
        assert torch.get_default_device() == before


@pytest.mark.parametrize(("hidden", "seen"), [("", []), ("_push_mode", ["ones"]), ("_disable_current_modes", ["ones"])])
def test_what_an_import_of_the_compiler_runs_is_recorded_only_without_the_names_for_modes(
    hidden, seen, tmp_path, monkeypatch
):
    (tmp_path / "stand_in_compiler.py").write_text("import torch\nRAN = torch.ones(1).item()\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "stand_in_compiler", raising=False)
    module = insides_without({hidden})
    monkeypatch.setattr(module.compiler, "_COMPILER", "stand_in_compiler")
    monkeypatch.setattr(conditions, "imports_unwatched", module.imports_unwatched)
    recording, ran = Recorder(torch.device("cpu")), []
    monkeypatch.setattr(recording, "_look_at", lambda op, args, output: ran.append(op.name))
    with recording.recording():
        importlib.import_module("stand_in_compiler")
        kept = torch.empty(1)
    assert [name for name in ran if name == "ones"] == seen
    assert "empty" in ran
    assert kept.device.type == "cpu"


def traced_without(names, *arguments):
    command = [sys.executable, insides.__file__, ",".join(names), *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_whole_program_runs_without_the_names():
    command = [sys.executable, insides.__file__, "TorchDispatchMode", "summary"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "has no dispatch modes" in done.stderr


FOR_SPEED = {
    *("DisableTorchFunction", "_cdata", "_device_constructors", "_op", "has_kernel_for_dispatch_key", "_destroy"),
    *("_ConvNd", "_NormBase", "_DropoutNd", "_GLOBAL_DEVICE_CONTEXT"),
}
FOR_GRADIENTS = {"_get_sequence_nr", "_current_autograd_node", "_sequence_nr", "_is_view"}


def test_a_summary_is_the_same_without_what_is_for_speed():
    assert traced_without(FOR_SPEED, "summary") == traced_without(set(), "summary")


def test_a_training_step_needs_as_much_memory_without_autograds_numbers():
    with_them, without = (traced_without(names, "memory") for names in (set(), FOR_SPEED | FOR_GRADIENTS))
    for answer in (with_them, without):
        answer["training"]["peak"].pop("path")  # which row is at work in backward is what the numbers tell
    assert without["training"] == with_them["training"]


def test_parameters_and_macs_are_the_same_without_schemas_and_tags():
    with_them, without = (traced_without(names, "params") for names in (set(), {"_schema", "tags"}))
    assert without["totals"]["params"] == with_them["totals"]["params"]
    assert without["totals"]["macs"] == with_them["totals"]["macs"]


class _Hiding(nn.Linear):
    def named_parameters(self, *args, **kwargs):
        return (pair for pair in super().named_parameters(*args, **kwargs) if pair[0] != "bias")


def _tied():
    shared, first = nn.BatchNorm1d(4), nn.Linear(4, 4)
    model = nn.Sequential(shared, first, nn.Linear(4, 4), shared, nn.Sequential(nn.LazyLinear(4), _Hiding(4, 4)))
    model[2].weight = first.weight
    model.register_module("absent", None)
    model.register_parameter("missing", None)
    model.register_buffer("again", shared.running_mean)
    return model


@pytest.mark.parametrize(
    "make", [_tied, lambda: _Hiding(4, 4), lambda: nn.LSTM(3, 4, 2)], ids=["tied", "hiding", "LSTM"]
)
def test_what_a_model_holds_is_what_torch_says(make):
    model = make()
    for ours, theirs in (
        (torch_insides.parameters_of(model), model.parameters()),
        (torch_insides.buffers_of(model), model.buffers()),
    ):
        assert [id(tensor) for tensor in ours] == [id(tensor) for tensor in theirs]


def test_filling_by_chance_is_left_out_on_meta_only():
    weight, real = nn.Parameter(torch.empty(2, 3, device="meta")), torch.zeros(100)
    with stand_ins.nothing_filled(), torch.no_grad():
        writes = weight._version
        assert nn.init.kaiming_uniform_(weight) is weight
        assert weight._version == writes + 1
        assert real.uniform_().unique().numel() > 1
    assert real.uniform_(2, 3).min() >= 2
    assert torch.empty(2, device="meta").uniform_().shape == (2,)
