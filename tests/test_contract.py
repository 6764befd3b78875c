"""What users and other programs rely on: exit codes, messages, JSON keys."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import jsonschema
import msgspec
import pytest

from alexnet_cli import __version__
from alexnet_cli.cli.schema import json_schema
from alexnet_cli.report_json import SavedReport

ALEXNET = [sys.executable, "-m", "alexnet_cli"]
ENVELOPE = ["schema_version", "generator", "command", "model", "run", "error"]
LAYER = [
    "index",
    "path",
    "type",
    "kind",
    "family",
    "depth",
    "leaf",
    "call",
    "input_shapes",
    "output_shapes",
    "settings",
    "params",
    "trainable_params",
    "param_bytes",
    "buffers",
    "params_total",
    "macs",
    "flops",
    "macs_total",
    "output_bytes",
    "in_place",
    "reuses",
]
TOTALS = [
    "params",
    "trainable_params",
    "frozen_params",
    "buffers",
    "param_bytes",
    "macs",
    "flops",
    "layers",
    "uncounted_ops",
    "unused_modules",
]


@pytest.fixture
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def saved(alexnet, tmp_path):
    path = tmp_path / "report.json"
    assert alexnet("summary", "--json", "-o", str(path)).code == 0
    return path


def test_summary_has_exactly_the_stated_keys(alexnet):
    answer = alexnet("summary", "--json")
    assert answer.code == 0
    assert answer.err == ""
    assert list(answer.json) == [*ENVELOPE, "layers", "totals", "by_type", "by_family", "tape"]
    assert list(answer.json["layers"][0]) == LAYER
    assert list(answer.json["totals"]) == TOTALS
    assert answer.json["schema_version"] == 1
    assert list(answer.json["model"]) == ["target", "class", "description"]
    assert answer.json["model"]["target"] == "alexnet"
    assert answer.json["generator"]["name"] == "alexnet-cli"
    assert answer.json["generator"]["version"] == __version__
    assert answer.json["run"]["inputs"] == [
        {"shape": [1, 3, 227, 227], "dtype": "float32", "found": False, "name": None}
    ]


def test_shares_are_those_of_the_assignment(alexnet):
    by_type = {entry["type"]: entry for entry in alexnet("summary", "--json").json["by_type"]}
    assert list(by_type)[:2] == ["Linear", "Conv2d"]
    conv, linear = by_type["Conv2d"], by_type["Linear"]
    assert (conv["layers"], conv["params"], conv["macs"]) == (5, 3_747_200, 1_076_634_144)
    assert (linear["layers"], linear["params"], linear["macs"]) == (3, 58_631_144, 58_621_952)
    assert round(conv["params_share"], 3) == 0.060
    assert round(linear["params_share"], 3) == 0.940
    assert round(conv["macs_share"], 3) == 0.948
    assert round(linear["macs_share"], 3) == 0.052
    assert by_type["ReLU"]["layers"] == 7
    assert {entry["params"] for name, entry in by_type.items() if name not in ("Conv2d", "Linear")} == {0}


@pytest.mark.parametrize(
    ("flags", "keys"),
    [
        ([], []),
        (["--by-type"], ["by_type", "by_family"]),
        (["--by-layer"], ["layers"]),
        (["--by-module"], ["modules"]),
    ],
)
def test_params_has_the_keys_that_were_asked_for(alexnet, flags, keys):
    assert list(alexnet("params", *flags, "--json").json) == [*ENVELOPE, "totals", *keys]


def test_params_by_layer_is_sorted_and_cut(alexnet):
    layers = alexnet("params", "--by-layer", "--top", "3", "--json").json["layers"]
    assert [layer["params"] for layer in layers] == [37_752_832, 16_781_312, 4_097_000]


def test_models_lists_what_can_be_named(alexnet):
    models = alexnet("models", "--json").json["models"]
    assert list(models[0]) == ["name", "description", "input", "params", "macs", "source"]
    for model in models:
        totals = alexnet("summary", model["name"], "--json").json["totals"]
        assert (totals["params"], totals["macs"]) == (model["params"], model["macs"])


@pytest.mark.parametrize("arguments", [["summary"], ["params", "--by-type", "--by-layer", "--by-module"], ["models"]])
def test_the_schema_describes_the_json(alexnet, arguments):
    schema = alexnet("schema", arguments[0]).json
    jsonschema.Draft202012Validator.check_schema(schema)
    answer = alexnet(*arguments, "--json").json
    jsonschema.validate(answer, schema)
    jsonschema.validate(answer, json_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**answer, "schema_version": 2}, schema)


def test_depth_folds_rows_and_keeps_the_sums(alexnet):
    answer = alexnet("summary", "--depth", "1", "--json").json
    assert [row["path"] for row in answer["layers"]] == ["", "architecture", "log_softmax"]
    assert sum(row["params"] for row in answer["layers"]) == answer["totals"]["params"] == 62_378_344
    assert sum(row["macs"] for row in answer["layers"]) == answer["totals"]["macs"]


def test_a_failed_forward_still_answers(alexnet):
    answer = alexnet("summary", "-i", "3,224,224", "--json")
    assert answer.code == 4
    assert answer.json["error"]["path"] == "architecture.14"
    assert sum(row["leaf"] for row in answer.json["layers"]) == 14
    assert "9216" in answer.err
    assert "6400" in answer.err
    assert "square inputs from 227 to 258 fit" in answer.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["-i", "a,b"], 2, "'a' is not a whole number"),
        (["-i", "0,0,0"], 2, "0 is not from 1 to 2,147,483,647"),
        (["-i", "3,-1,227"], 2, "-1 is not from 1 to"),
        (["-i", "3,227"], 4, "architecture.0"),
        (["-i", "3,2000000000,2000000000"], 2, "cannot be made"),
        (["-i", "3,8,8", "-i", "3,8,8"], 4, "positional argument"),
        (["--device", "tpu"], 2, "known: meta, cpu, cuda"),
        (["--device", "cuda:"], 2, "unknown device"),
        (["--dtype", "int4"], 2, "known: float32"),
        (["--batch-size", "0"], 2, "--batch-size"),
        (["--batch-size", "many"], 2, "--batch-size"),
        (["--depth", "-1"], 2, "--depth"),
        (["--format", "yaml"], 2, "known: table, csv"),
        (["--json", "--format", "csv"], 2, "exclude each other"),
        (["alexnett"], 2, "did you mean alexnet"),
        (["no/such/report.json"], 3, "no/such/report.json"),
        (["-o", "no/such/folder/table.md"], 2, "the folder no/such/folder is not there"),
        (["-o", "table.unheard-of"], 2, "no suffix that names a format"),
        (["--no-such-option"], 2, "--no-such-option"),
    ],
)
@pytest.mark.usefixtures("empty_folder")
def test_errors_have_a_code_and_one_clear_message(alexnet, arguments, code, said):
    answer = alexnet("summary", *arguments)
    assert answer.code == code
    assert said in answer.err
    assert answer.err.startswith("error: ")
    assert answer.err.count("error: ") == 1
    assert "Traceback" not in answer.err
    as_json = alexnet("summary", *arguments, *([] if "--format" in arguments or "--json" in arguments else ["--json"]))
    if "-o" not in arguments and as_json.out:
        assert list(as_json.json)[:6] == ENVELOPE
        assert as_json.json["error"]["message"] in answer.err
        jsonschema.validate(as_json.json["error"], {"type": "object", "required": ["code", "message", "hint", "path"]})


def test_a_device_that_is_not_there_exits_5(alexnet):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    answer = alexnet("summary", "--device", "cuda")
    assert answer.code == 5
    assert ("has no CUDA" if torch.version.cuda is None else "finds no device") in answer.err
    assert "available devices: meta, cpu" in answer.err


def test_memory_that_is_not_there_exits_5(alexnet):
    answer = alexnet("summary", "--device", "cpu", "--batch-size", "100000000")  # 62 TB of images
    assert answer.code == 5
    assert "out of memory on cpu" in answer.err


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"schema_version": 1}',
        b'{"schema_version": 2, "layers": []}',
        b"\x00" * 100,
        b"[" * 100_000,
    ],
)
def test_a_damaged_report_exits_3(alexnet, tmp_path, damage):
    path = tmp_path / "report.json"
    path.write_bytes(damage)
    answer = alexnet("summary", str(path))
    assert answer.code == 3
    assert str(path) in answer.err
    assert "Traceback" not in answer.err


def test_a_report_cut_anywhere_exits_3(alexnet, saved, tmp_path):
    whole = saved.read_bytes()
    cut = tmp_path / "cut.json"
    for length in range(0, len(whole) - 2, 997):
        cut.write_bytes(whole[:length])
        assert alexnet("params", str(cut)).code == 3


def test_a_report_reads_back_as_it_was(saved):
    data = saved.read_bytes()
    decoded = msgspec.json.decode(data, type=SavedReport)
    assert json.loads(msgspec.json.encode(decoded)).items() <= json.loads(data).items()


def test_options_that_do_nothing_for_a_saved_report_are_told(alexnet, saved):
    answer = alexnet("summary", str(saved), "-b", "2")
    assert answer.code == 0
    assert "saved report" in answer.err


def test_a_folder_is_no_output_file(alexnet, tmp_path):
    answer = alexnet("summary", "-o", str(tmp_path))
    assert answer.code == 2
    assert "it is a folder" in answer.err


def test_an_output_file_is_replaced_whole_and_keeps_its_mode(alexnet, saved, tmp_path):
    target, link = tmp_path / "table.md", tmp_path / "link.md"
    target.write_text("before")
    target.chmod(0o640)
    link.symlink_to(target)
    assert alexnet("summary", str(saved), "-o", str(link)).code == 0
    assert "62,378,344" in target.read_text()
    assert target.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["link.md", "report.json", "table.md"]


def test_a_failed_write_leaves_the_file_as_it_was(alexnet, saved, tmp_path, monkeypatch):
    from pathlib import Path

    target = tmp_path / "table.md"
    target.write_text("before")

    def fail(self, place):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    answer = alexnet("summary", str(saved), "-o", str(target))
    assert answer.code == 2
    assert "No space left on device" in answer.err
    assert target.read_text() == "before"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["report.json", "table.md"]


def run_shell(command: str, saved, **environment: str) -> subprocess.CompletedProcess[bytes]:
    program = " ".join(ALEXNET)
    return subprocess.run(
        ["bash", "-c", command.replace("alexnet ", f"{program} ").replace("REPORT", str(saved))],
        capture_output=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_a_full_disk_is_told_once(saved):
    for command in ("alexnet summary REPORT > /dev/full", "alexnet --help > /dev/full", "alexnet schema > /dev/full"):
        done = run_shell(command, saved)
        assert done.returncode == 2
        assert done.stderr.decode().count("No space left on device") == 1
        assert b"Traceback" not in done.stderr


def test_head_ends_quietly(saved):
    for command in ("alexnet summary REPORT --json | head -1; exit ${PIPESTATUS[0]}", "alexnet schema | head -1"):
        done = run_shell(command, saved)
        assert done.returncode == 0
        assert done.stderr == b""
        assert done.stdout == b"{\n"


def test_a_reader_that_is_gone_does_not_change_the_exit_code(saved):
    for command in ("alexnet summary REPORT", "alexnet schema"):
        done = run_shell(f"{command} | true; exit ${{PIPESTATUS[0]}}", saved)
        assert (done.returncode, done.stderr) == (0, b"")


def test_standard_input_is_a_saved_report(saved):
    by_name = run_shell("alexnet summary REPORT", saved)
    for command in ("cat REPORT | alexnet summary -", "cat REPORT | alexnet summary /dev/stdin"):
        piped = run_shell(command, saved)
        assert piped.returncode == 0
        assert piped.stdout == by_name.stdout


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
@pytest.mark.parametrize(
    "command", ["alexnet summary REPORT", "alexnet --help", "alexnet summary --help", "alexnet models"]
)
def test_any_encoding_of_stdout_works(saved, encoding, command):
    done = run_shell(command, saved, PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode(encoding)
    assert "\\x" not in text
    assert "\\u" not in text


def test_an_interrupt_ends_with_130(tmp_path):
    fifo = tmp_path / "slow.json"
    os.mkfifo(fifo)
    process = subprocess.Popen(
        [*ALEXNET, "summary", str(fifo)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - background jobs ignore it
    )
    time.sleep(1.5)  # it waits for somebody to write into the pipe
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert (out, err) == (b"", b"interrupted\n")


@pytest.mark.parametrize(
    ("file", "code", "command"),
    [
        pytest.param("net.py", "raise ImportError('initialization failed')", "summary net.py:Net", id="pybind11"),
        pytest.param("onnx.py", "os.abort()", "params model.onnx", id="nanobind"),
        pytest.param("onnxscript.py", "os.abort()", "export net.py:Net -i 4 -o net.onnx", id="nanobind, exporting"),
    ],
)
def test_an_interrupt_while_an_extension_is_loaded_ends_with_130(tmp_path, file, code, command):
    (tmp_path / "net.py").write_text("from torch import nn\n\n\ndef Net():\n    return nn.Linear(4, 5)\n")
    (tmp_path / "model.onnx").write_bytes(b"\x08\x08")  # no more than a version
    (tmp_path / file).write_text(
        f"import os, signal\ntry:\n    signal.raise_signal(signal.SIGINT)\nexcept KeyboardInterrupt:\n    {code}\n"
    )
    done = subprocess.run(
        [*ALEXNET, *command.split()],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        check=False,
        timeout=60,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert (done.returncode, done.stderr) == (130, b"interrupted\n")


def test_version_names_torch(alexnet):
    import torch

    answer = alexnet("--version")
    assert answer.code == 0
    assert __version__ in answer.out
    assert torch.__version__.partition("+")[0] in answer.out


@pytest.mark.parametrize("stderr", ["2> /dev/full", "2>&-"])
def test_an_error_that_cannot_be_told_has_its_exit_code(saved, stderr):
    assert run_shell(f"alexnet summary nowhere {stderr}", saved).returncode == 2
    assert run_shell(f"alexnet check REPORT --max-params 1 {stderr}", saved).returncode == 1
    done = run_shell(f"alexnet summary nowhere --json {stderr}", saved)
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (2, "usage")
