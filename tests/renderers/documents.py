"""Documents made by hand: what a summary of AlexNet looks like, and pages that try to break a renderer."""

from __future__ import annotations

from alexnet_cli.document import Bar, Bars, Column, Document, Fact, Facts, Note, Part, Row, Table

COLUMNS = (
    Column("layer", "Layer", tree=True, priority=9),
    Column("path", "Path", priority=2),
    Column("output_shapes", "Output", "shapes", priority=7),
    Column("params", "Parameters", "count", priority=8),
    Column("params_share", "Share", "share", priority=4, bar=True),
    Column("macs", "MACs", "macs", priority=6),
)
PARAMS = 62_378_344
MACS = 1_135_256_096
CONV_PARAMS, LINEAR_PARAMS = 3_747_200, 58_631_144
CONV_MACS, LINEAR_MACS = 1_076_634_144, 58_621_952
LAYERS = (
    ("Conv2d", "features.0", (1, 96, 55, 55), 34_944, 105_415_200, "conv"),
    ("ReLU", "features.1", (1, 96, 55, 55), 0, 0, "activation"),
    ("LocalResponseNorm", "features.2", (1, 96, 55, 55), 0, None, "norm"),
    ("MaxPool2d", "features.3", (1, 96, 27, 27), 0, 0, "pool"),
    ("Conv2d", "features.4", (1, 256, 27, 27), 614_656, 447_897_600, "conv"),
    ("ReLU", "features.5", (1, 256, 27, 27), 0, 0, "activation"),
    ("LocalResponseNorm", "features.6", (1, 256, 27, 27), 0, None, "norm"),
    ("MaxPool2d", "features.7", (1, 256, 13, 13), 0, 0, "pool"),
    ("Conv2d", "features.8", (1, 384, 13, 13), 885_120, 149_520_384, "conv"),
    ("ReLU", "features.9", (1, 384, 13, 13), 0, 0, "activation"),
    ("Conv2d", "features.10", (1, 384, 13, 13), 1_327_488, 224_280_576, "conv"),
    ("ReLU", "features.11", (1, 384, 13, 13), 0, 0, "activation"),
    ("Conv2d", "features.12", (1, 256, 13, 13), 884_992, 149_520_384, "conv"),
    ("ReLU", "features.13", (1, 256, 13, 13), 0, 0, "activation"),
    ("MaxPool2d", "features.14", (1, 256, 6, 6), 0, 0, "pool"),
    ("Dropout", "classifier.0", (1, 9216), 0, 0, "dropout"),
    ("Linear", "classifier.1", (1, 4096), 37_752_832, 37_748_736, "linear"),
    ("ReLU", "classifier.2", (1, 4096), 0, 0, "activation"),
    ("Dropout", "classifier.3", (1, 4096), 0, 0, "dropout"),
    ("Linear", "classifier.4", (1, 4096), 16_781_312, 16_777_216, "linear"),
    ("ReLU", "classifier.5", (1, 4096), 0, 0, "activation"),
    ("Linear", "classifier.6", (1, 1000), 4_097_000, 4_096_000, "linear"),
)


def _layer(number: int) -> Row:
    kind, path, shape, params, macs, family = LAYERS[number]
    return Row((f"{kind}-{number + 1}", path, (shape,), params, params / PARAMS, macs), 2, family=family)


def alexnet_table(*, failed: bool = False) -> Table:
    """The rows of AlexNet; with `failed`, those up to the first layer of the classifier."""
    rows = [
        Row(("AlexNet", "", ((1, 1000),), PARAMS, None, MACS), 0, "group", "container"),
        Row(("Sequential", "features", ((1, 256, 6, 6),), CONV_PARAMS, None, CONV_MACS), 1, "group", "container"),
        *map(_layer, range(15)),
    ]
    if failed:
        return Table(
            "layers", COLUMNS, (*rows, Row(("failed here", "classifier.1", None, None, None, None), 1, "failed"))
        )
    rows += [
        Row(("flatten", "", ((1, 9216),), 0, 0.0, 0), 1, "function", "reshape"),
        Row(("Sequential", "classifier", ((1, 1000),), LINEAR_PARAMS, None, LINEAR_MACS), 1, "group", "container"),
        *map(_layer, range(15, len(LAYERS))),
        Row(("log_softmax", "", ((1, 1000),), 0, 0.0, 0), 1, "function", "softmax"),
    ]
    return Table("layers", COLUMNS, tuple(rows))


FACTS = Facts(
    (
        Fact("Layers", 22, "count"),
        Fact("Parameters", PARAMS, "count"),
        Fact("trainable", PARAMS, "count"),
        Fact("frozen", 0, "count"),
        Fact("Weights", PARAMS * 4, "bytes"),
        Fact("MACs", MACS, "macs"),
        Fact("FLOPs", 2 * MACS, "flops", "2 per MAC"),
        Fact("Input", (1, 3, 227, 227), "shape", "float32, found by trying"),
        Fact("Peak memory", None, "bytes", "measured, weights included"),
    )
)
BARS = Bars(
    (
        Bar(
            "Parameters",
            "count",
            (
                Part("conv", CONV_PARAMS, CONV_PARAMS / PARAMS, "conv"),
                Part("linear", LINEAR_PARAMS, LINEAR_PARAMS / PARAMS, "linear"),
            ),
        ),
        Bar(
            "MACs",
            "macs",
            (
                Part("conv", CONV_MACS, CONV_MACS / MACS, "conv"),
                Part("linear", LINEAR_MACS, LINEAR_MACS / MACS, "linear"),
            ),
        ),
    )
)
WARNING = Note("not counted: aten::_local_norm, 2 calls in features.2, features.6 (no MAC formula)", "warning")
ALEXNET = Document("AlexNet", (alexnet_table(), FACTS, BARS, WARNING), "meta · float32 · eval · batch 1")
FAILED = Document(
    "AlexNet",
    (alexnet_table(failed=True), Note("mat1 and mat2 shapes cannot be multiplied (1x6400 and 9216x4096)", "error")),
    "meta · float32 · eval · batch 1",
)
EMPTY = Document("Nothing", (Table("layers", COLUMNS, (), "By layer"),))


def many_parts(shares: tuple[float, ...], label: str = "Parameters") -> Bar:
    """A bar of up to six parts."""
    families = ("conv", "linear", "norm", "attention", "embedding", "other")
    parts = zip(families, shares, strict=False)
    return Bar(label, "count", tuple(Part(name, round(share * 1000), share, name) for name, share in parts))


MANY = Document(
    "Many parts",
    (
        Bars(
            (
                many_parts((0.5, 0.3, 0.1, 0.06, 0.0399, 0.0001)),
                many_parts((0.0, 0.9, 0.1, 0.0, 0.0, 0.0), "MACs"),
            ),
            "Who holds what",
        ),
        Note("An info note that is long enough to be wrapped when the page is narrow, between words."),
    ),
)

HOSTILE_NAMES = (
    "[/x][bold]markup[/]",
    "\x1b[31mred\x1b[0m",
    "a\nb\r\tc\x00\x07\x7f\x9b",
    "\u202egnp.exe\u2066\u200b\ufeff",
    "<script>alert('1')</script>&amp;\"",
    "`|*_~$\\^{}#%@ ]]> -->",
    "=1+1",
    "-2",
    "+3",
    "@cmd",
    "\t=4",
    "\ud800 lone",
    "卷积层 ×·…é 😀❤\ufe0f",
    "",
    "   ",
    "long" * 800,
)


def hostile() -> Document:
    """Every text of a document taken by a hostile name in turn."""
    rows = tuple(Row((name, name, ((1, 2), ()), i * 1000, i / 16, None), i % 3) for i, name in enumerate(HOSTILE_NAMES))
    notes = tuple(Note(name, "warning") for name in HOSTILE_NAMES)
    facts = Facts(tuple(Fact(name, name, "text", name) for name in HOSTILE_NAMES), HOSTILE_NAMES[1])
    bars = Bars((Bar(HOSTILE_NAMES[0], "count", tuple(Part(n, 5, 0.5, "conv") for n in HOSTILE_NAMES[1:3])),))
    table = Table("layers", COLUMNS, rows, HOSTILE_NAMES[4])
    return Document(HOSTILE_NAMES[1], (table, facts, bars, *notes), HOSTILE_NAMES[3])


def deep(levels: int, each: int = 1) -> Document:
    """A tree that goes `levels` deep."""
    rows = tuple(
        Row((f"Block-{level}", f"path.{level}", ((1, level),), level, 0.5, level), level)
        for level in range(levels)
        for _ in range(each)
    )
    return Document("Deep", (Table("layers", COLUMNS, rows),))
