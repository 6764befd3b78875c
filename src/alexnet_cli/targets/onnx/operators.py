"""What ONNX's operators do: their family, whether they compute, which of their inputs are weights.

The operators are those of https://onnx.ai/onnx/operators/, and a few of ONNX Runtime's (`com.microsoft`).
"""

from __future__ import annotations

from alexnet_cli.report import Family

OPS_BY_FAMILY: dict[Family, str] = {
    "attention": "Attention FlexAttention LinearAttention MultiHeadAttention GroupQueryAttention",
    "recurrent": "LSTM GRU RNN",
    "conv": "Conv ConvTranspose ConvInteger QLinearConv DeformConv CausalConvWithState FusedConv",
    "linear": "Gemm MatMul MatMulInteger QLinearMatMul Einsum FusedMatMul FusedGemm MatMulNBits",
    "norm": """BatchNormalization InstanceNormalization GroupNormalization LayerNormalization RMSNormalization LRN
        LpNormalization MeanVarianceNormalization SimplifiedLayerNormalization SkipLayerNormalization
        SkipSimplifiedLayerNormalization ReduceL2""",
    "pool": "MaxPool AveragePool LpPool GlobalMaxPool GlobalAveragePool GlobalLpPool MaxRoiPool MaxUnpool RoiAlign",
    "embedding": "Gather",
    "softmax": "Softmax LogSoftmax Hardmax ReduceLogSumExp",
    "dropout": "Dropout Bernoulli",
    "activation": """Relu Gelu Elu Selu Celu Sigmoid Tanh LeakyRelu PRelu HardSigmoid HardSwish Softplus Softsign Mish
        ThresholdedRelu Shrink Swish SwiGLU Clip FastGelu QuickGelu BiasGelu""",
    "reshape": """Reshape Flatten Squeeze Unsqueeze Transpose Concat Split Slice Expand Tile Pad Identity Cast CastLike
        DepthToSpace SpaceToDepth Col2Im CenterCropPad BitCast Shape Size""",
}
"""Operators by what they do; a row with several kinds of work gets the first family that applies."""

_POINTWISE_OPS = """
    Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast CastLike
    Ceil Celu Clip Cos Cosh DequantizeLinear Div Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid
    HardSwish IsInf IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow QuantizeLinear
    Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum Swish Tan Tanh
    ThresholdedRelu Where Xor Dropout FastGelu QuickGelu
"""
POINTWISE = frozenset(_POINTWISE_OPS.split())
"""Each element of their results depends only on the elements at its own place."""

_FREE_OPS = """
    AffineGrid ArgMax ArgMin Bernoulli BitCast BlackmanWindow CenterCropPad Col2Im Compress ConcatFromSequence
    Constant ConstantOfShape CumProd CumSum DynamicQuantizeLinear EyeLike GatherElements GatherND GridSample
    HammingWindow HannWindow If ImageDecoder Loop MaxRoiPool MaxUnpool MelWeightMatrix Multinomial NonMaxSuppression
    NonZero OneHot Optional OptionalGetElement OptionalHasElement RandomNormal RandomNormalLike RandomUniform
    RandomUniformLike Range ReduceL1 ReduceLogSum ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare
    RegexFullMatch Resize ReverseSequence RoiAlign RotaryEmbedding Scan Scatter ScatterElements ScatterND SequenceAt
    SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength SequenceMap SplitToSequence
    StringConcat StringNormalizer StringSplit TensorScatter TfIdfVectorizer TopK Trilu Unique Upsample
    NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss
"""
_FREE = frozenset(_FREE_OPS.split())
_COUNTED_FAMILIES: tuple[Family, ...] = ("attention", "recurrent", "conv", "linear")
FAMILY_OF = {op: family for family, ops in OPS_BY_FAMILY.items() for op in ops.split()}
FREE = _FREE | POINTWISE | {op for op, family in FAMILY_OF.items() if family not in _COUNTED_FAMILIES}
"""They do no multiply–accumulates, as a trace has it of torch's operators."""

WEIGHTS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("Conv", "ConvTranspose", "FusedConv"), (1, 2)),
    "ConvInteger": (1,),
    "QLinearConv": (3, 8),
    "DeformConv": (1, 3),
    "CausalConvWithState": (1, 2),
    **dict.fromkeys(("Gemm", "FusedGemm"), (0, 1, 2)),
    **dict.fromkeys(("MatMul", "MatMulInteger", "FusedMatMul"), (0, 1)),
    "QLinearMatMul": (0, 3),
    "MatMulNBits": (1, 5),
    "Einsum": (0, 1, 2, 3),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), (1, 2, 3, 7)),
    **dict.fromkeys(("BatchNormalization", "InstanceNormalization", "GroupNormalization"), (1, 2)),
    **dict.fromkeys(("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"), (1, 2)),
    **dict.fromkeys(("SkipLayerNormalization", "SkipSimplifiedLayerNormalization"), (2, 3, 4)),
    "PRelu": (1,),
    "DequantizeLinear": (0,),
}
"""Which inputs are weights where they are constants."""
NOT_WEIGHTS: dict[str, tuple[int, ...]] = {
    "BatchNormalization": (3, 4),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear", "Resize"), (1, 2)),
    **dict.fromkeys(("QLinearConv", "QLinearMatMul"), (1, 2, 4, 5, 6, 7)),
    **dict.fromkeys(("ConvInteger", "MatMulInteger", "MatMulNBits"), (2, 3)),
    "Upsample": (1,),
    "OneHot": (2,),
}
"""Which inputs are running statistics, scales and zero points, or say what to do."""


def family_among(families: set[Family]) -> Family:
    """Return a row's family from those of its operators: the first in `OPS_BY_FAMILY` that one of them has."""
    if {"softmax", "linear"} <= families:
        return "attention"
    for family in OPS_BY_FAMILY:
        if family in families and (family != "reshape" or families == {"reshape"}):
            return family
    return "other"
