"""Classic mistakes: each message names the layer, what it wants, what it got, and what would fit."""

from __future__ import annotations

import textwrap

import pytest

MISTAKES = textwrap.dedent("""
    import torch
    import torch.nn as nn
    import torch.nn.functional as F

    class LeNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(1, 6, 5)
            self.conv2 = nn.Conv2d(6, 16, 5)
            self.fc1 = nn.Linear(16 * 4 * 4, 120)
            self.fc2 = nn.Linear(120, 10)

        def forward(self, x):
            x = F.max_pool2d(F.relu(self.conv1(x)), 2)
            x = F.max_pool2d(F.relu(self.conv2(x)), 2)
            return self.fc2(F.relu(self.fc1(x.flatten(1))))

    class Viewed(LeNet):
        def forward(self, x):
            x = F.max_pool2d(F.relu(self.conv1(x)), 2)
            x = F.max_pool2d(F.relu(self.conv2(x)), 2)
            return self.fc1(x.view(-1, 16 * 4 * 4))

    class WrongNorm(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3)
            self.norm = nn.BatchNorm2d(16)

        def forward(self, x):
            return self.norm(self.conv(x))

    class Groups(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.GroupNorm(2, 8)

        def forward(self, x):
            return self.norm(x)

    class Skip(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Conv2d(3, 8, 3, stride=2, padding=1)
            self.b = nn.Conv2d(3, 8, 3, stride=2)

        def forward(self, x):
            return self.a(x) + self.b(x)

    class Join(Skip):
        def forward(self, x):
            return torch.cat([self.a(x), self.b(x)], dim=1)

    class Positions(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(100, 16)
            self.positions = nn.Embedding(8, 16)

        def forward(self, ids):
            return self.tokens(ids) + self.positions(torch.arange(ids.shape[1])[None])

    class After(nn.Module):
        def __init__(self, kind):
            super().__init__()
            self.project = nn.Linear(10, 24)
            self.then = {
                "attention": lambda: nn.MultiheadAttention(32, 4, batch_first=True),
                "lstm": lambda: nn.LSTM(32, 4, batch_first=True),
                "norm": lambda: nn.LayerNorm(32),
                "double": lambda: nn.Linear(24, 3).double(),
                "mlp": lambda: nn.Linear(32, 3),
            }[kind]()

        def forward(self, x):
            x = self.project(x)
            return self.then(x, x, x) if isinstance(self.then, nn.MultiheadAttention) else self.then(x)

    class Product(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(5, 6))

        def forward(self, x):
            return x @ self.weight

    class Raises(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            return self.helper(self.layer(x))

        def helper(self, x):
            raise ValueError("no such mode")

    class Upsampled(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = nn.ConvTranspose2d(8, 4, 2)

        def forward(self, x):
            return self.up(x)
""")


@pytest.fixture(scope="module")
def mistakes(tmp_path_factory):
    path = tmp_path_factory.mktemp("mistakes") / "mistakes.py"
    path.write_text(MISTAKES)
    return path


def line_of(code: str) -> int:
    return next(number for number, line in enumerate(MISTAKES.splitlines(), 1) if code in line)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (
            "LeNet -i 1,32,32",
            [
                "error: fc1 (Linear(in_features=256, out_features=120, bias=True)) takes 256 features but got 400",
                "(400 = 16×5×5 flattened)",
                "hint: square inputs from 28 to 31 fit, as in --input-size 1,28,28",
                "hint: in_features=400 fits this input",
                "self.fc1 = nn.Linear(16 * 4 * 4, 120)",
            ],
        ),
        (
            "LeNet -i 3,28,28",
            ["conv1", "takes 1 channel but got 3", "an input of 1×28×28 fits", "in_channels=3 fits this input"],
        ),
        ("LeNet -i 1,3,3", ["conv1", "has a kernel of 5×5, larger than its input of 1×1×3×3", "from 28 to 31 fit"]),
        (
            "Viewed -i 1,32,32",
            ["view in the model itself", "cannot view 1×16×5×5 (400 elements) as (-1, 256)", "flatten(1)"],
        ),
        (
            "WrongNorm",
            ["a guess", "norm (BatchNorm2d(16", "takes 16 channels but got 8", "num_features=8 fits this input"],
        ),
        ("Groups -i 4,5,5", ["takes 8 channels but got 4", "num_channels=4 fits", "an input of 8 fits"]),
        (
            "Skip -i 3,224,224",
            [
                "add in the model itself",
                "cannot combine 1×8×112×112 and 1×8×111×111",
                "dimension -1 is 112 on one side",
            ],
        ),
        ("Join -i 3,32,32", ["cat in the model itself", "cannot join 1×8×16×16 and 1×8×15×15"]),
        (
            "Positions -i 16:int64",
            ["positions (Embedding(8, 16))", "has 8 rows (0 to 7) but got index 15", "an input of 8 fits"],
        ),
        ("Positions -i 6", ["tokens", "takes integer indices but got floats", "16:int64"]),
        ("After --arg kind=attention -i 3,10", ["takes embeddings of 32 but got 24", "embed_dim=24 fits"]),
        ("After --arg kind=lstm -i 3,10", ["takes 32 features a step but got 24", "input_size=24 fits"]),
        ("After --arg kind=norm -i 3,10", ["normalizes over 32", "1×3×24 are 24", "normalized_shape=[24] fits"]),
        ("After --arg kind=double -i 3,10", ["two dtypes", "float64", "float32"]),
        ("After --arg kind=mlp -i 1,2,5", ["project", "10 = 1×2×5: flatten it first"]),
        ("Product -i 4,7", ["matmul in the model itself", "cannot multiply 1×4×7 and 5×6: 7 columns meet 5 rows"]),
        ("Raises -i 4", ["raised ValueError: no such mode", "in helper: raise ValueError"]),
        ("Upsampled -i 3,4,4", ["up (ConvTranspose2d(8, 4", "takes 8 channels but got 3", "in_channels=3 fits"]),
        ("WrongNorm -i 3,8,8 --train", ["takes 16 channels but got 8"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_message_says_why_and_what_would_fit(alexnet, mistakes, model, said):
    name, *options = model.split()
    answer = alexnet("summary", f"{mistakes}:{name}", *options)
    assert answer.code == 4
    for part in said:
        assert part in answer.err
    assert "Traceback" not in answer.err
    assert "site-packages" not in answer.err


def test_it_says_where_the_layer_is_defined_and_where_it_was_called(alexnet, mistakes):
    answer = alexnet("summary", f"{mistakes}:LeNet", "-i", "1,32,32")
    assert f"hint: defined at {mistakes}:{line_of('self.fc1 = ')}: self.fc1 = nn.Linear(16 * 4 * 4, 120)" in answer.err
    assert f"hint: raised at {mistakes}:{line_of('return self.fc2(')} in forward" in answer.err


def test_the_advice_holds(alexnet, mistakes):
    for side in (28, 31):
        assert alexnet("summary", f"{mistakes}:LeNet", "-i", f"1,{side},{side}").code == 0
    for side in (27, 32):
        assert alexnet("summary", f"{mistakes}:LeNet", "-i", f"1,{side},{side}").code == 4
    assert alexnet("summary", f"{mistakes}:Positions", "-i", "8:int64").code == 0


def test_one_value_a_channel_in_training(alexnet, tmp_path):
    path = tmp_path / "net.py"
    path.write_text("import torch.nn as nn\ndef net(): return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8))\n")
    answer = alexnet("summary", f"{path}:net", "-i", "1,4", "--no-batch", "--train")
    assert answer.code == 4
    assert "more than one value per channel" in answer.err
    assert "--batch-size 2 runs, and so does the model in eval mode" in answer.err
    assert alexnet("summary", f"{path}:net", "-b", "2", "--train").code == 0


def test_all_frames_on_request(alexnet, mistakes):
    answer = alexnet("summary", f"{mistakes}:Raises", "-i", "4", "--traceback")
    assert answer.code == 4
    assert "Traceback (most recent call last)" in answer.err
