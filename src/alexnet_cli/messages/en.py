"""English."""

MESSAGES: dict[str, str] = {
    "title": "Claims about {model}, checked",
    "root": "the model itself",
    "more": "{names} and {rest} more",
    "unshown": "{count:count} more like this: --json lists them all",
    "macs": (
        "MACs are multiply-accumulates of one forward, bias additions not included. "
        "What is called traced was run with that change, on shapes alone; what is called computed was not run."
    ),
    "column.code": "Finding",
    "column.verdict": "Verdict",
    "verdict.holds": "holds",
    "verdict.partly": "partly",
    "verdict.fails": "fails",
    "verdict.not_applicable": "not applicable",
    # What any finding may say
    "any.failed": "The forward failed at {path:layer}, so the model cannot be judged.",
    "any.not_run": "The model was not run, and its parameters alone do not tell.",
    "any.nothing_of_these": "There are no such layers here.",
    "any.no_parameters": "There are no parameters here.",
    "any.no_convolutions": "No convolution ran here as a layer of its own.",
    "any.not_both": "This compares convolutions with linear layers, and there are not both.",
    "any.not_traced": (
        "What half the outputs of {path:layer} would save was not traced: a saved report or a checkpoint cannot be run."
    ),
    "any.needs_values": (
        "What half the outputs of {path:layer} would save was not traced: the model needs values to run, and changes "
        "are traced on shapes alone."
    ),
    "any.not_built": "What half the outputs of {path:layer} would save was not traced: {error}.",
    "any.other_kind": (
        "{path:layer} ({type}) is no convolution, linear layer or embedding: only of these the outputs are halved."
    ),
    "any.too_few": "{path:layer} has {width:n output|outputs}: too few to halve.",
    "any.last_layer": (
        "No other layer takes up the width of {path:layer} before the model returns: half its outputs would be another "
        "answer, not a smaller model."
    ),
    "any.does_not_fit": (
        "With half the outputs of {path:layer} alone the forward fails at {at:layer}, which needs all of them: more "
        "would have to change."
    ),
    "any.not_divisible": (
        "With half the outputs of {path:layer}, {at:layer} would have {width:n channel|channels}, which its "
        "{groups:n group|groups} cannot share out."
    ),
    "any.shared_weights": (
        "With half the outputs of {path:layer} the weights of {at:layer} would have to change, and they are used "
        "elsewhere too."
    ),
    "any.other_weights": (
        "With half the outputs of {path:layer} the weights of {at:layer} ({type}) would have to change, and they are "
        "not held as in torch's own layers."
    ),
    "any.uncounted": "Not counted, as there is no formula for it: {operators:names}.",
    # The notebook's claims
    "claim.stack": "Convolutions and poolings are stacked; after a flatten come the linear layers.",
    "stack.counts": (
        "{convolutions:n convolution|convolutions}, {poolings:n pooling|poolings}, "
        "{linears:n linear layer|linear layers}."
    ),
    "stack.other_kinds": "Layers of another kind do a main part: {paths:layers}.",
    "stack.no_pooling": "Nothing is pooled.",
    "stack.no_linear": "No linear layer follows.",
    "stack.linear_before": "Linear layers run before the last convolution or pooling, {last:layer}: {paths:layers}.",
    "stack.no_flatten": "There is no flatten before {path:layer}.",
    "stack.branches": "Branches join, so it is no single stack: at {count:n place|places}, {paths:layers}.",
    "claim.relu-outputs": "Every layer but the max-poolings and the last softmax puts out through a ReLU.",
    "relu-outputs.through_relu": (
        "{kept:count} of {layers:n layer|layers} do; poolings, reshapes, dropouts and softmax are left aside."
    ),
    "relu-outputs.goes_to": "No ReLU runs between {path:layer} ({type}) and {next:layer}.",
    "relu-outputs.comes_out": "{path:layer} ({type}) puts out as it is: nothing follows.",
    "relu-outputs.other_activation": "{path:layer} ({type}) goes through {activation}, not ReLU.",
    "claim.narrow-and-deep": "Shapes go from wide to narrow and deep, and the deeper, the more parameters.",
    "narrow-and-deep.shapes": "The map goes from {first:shape} at the input to {last:shape} at {path:layer}.",
    "narrow-and-deep.too_few_convolutions": (
        "There is nothing to compare: {convolutions:n convolution|convolutions} with known settings."
    ),
    "narrow-and-deep.wider": "{path:layer} widens the map from {before:shape} to {shape:shape}.",
    "narrow-and-deep.shallower": "{path:layer} goes back from {before:count} to {channels:count} channels.",
    "narrow-and-deep.fewer_parameters": (
        "{path:layer} has {params:count} parameters, fewer than the {most:count} of {other:layer} before it."
    ),
    "narrow-and-deep.same_shape": (
        "{path:layer} has {params:count} parameters, fewer than the {most:count} of {other:layer}, though both put out "
        "{shape:shape}: the depth of the input counts too."
    ),
    "claim.parameters-in-conv-and-linear": (
        "Only convolutions and linear layers have parameters; ReLU and max-pooling have no weights to update."
    ),
    "parameters-in-conv-and-linear.holders": (
        "{convolutions:n convolution|convolutions} and {linears:n linear layer|linear layers} hold {share:share} of "
        "the parameters."
    ),
    "parameters-in-conv-and-linear.other_holder": (
        "{type} holds {params:count} too ({share:share}), in {paths:layers}."
    ),
    "parameters-in-conv-and-linear.none_to_learn": "None to learn: {types:names}.",
    "parameters-in-conv-and-linear.unused": "Not judged, as no call reached them: {paths:layers}.",
    "claim.linear-dominates": "Linear layers have overwhelmingly more parameters than convolutions.",
    "linear-dominates.parameters": "Linear layers have {linear:count} parameters, convolutions {conv:count}.",
    "linear-dominates.ratio": "That is {ratio:ratio} times as many.",
    "linear-dominates.other_way": "It is the other way round: convolutions have {ratio:ratio} times as many.",
    # What a teacher would add
    "claim.mirror-images": (
        "Parameters and work are mirror images: linear layers hold the one, convolutions do the other."
    ),
    "mirror-images.params": "Of the parameters, linear layers hold {linear:share} and convolutions {conv:share}.",
    "mirror-images.macs": "Of the MACs, linear layers do {linear:share} and convolutions {conv:share}.",
    "mirror-images.why": (
        "Why: a parameter of a convolution does {conv:ratio} MACs on average, as it is used at every place of a map; "
        "one of a linear layer does {linear:ratio}."
    ),
    "claim.weight-sharing": "A convolution shares its weights: it uses each of them at many places.",
    "weight-sharing.used": (
        "{path:layer} uses each of its {weights:count} weights at {places:n place|places}; "
        "a dense layer between the same maps would need {dense_params:count} parameters instead of {params:count}."
    ),
    "claim.weights-outweigh-outputs": "The weights take more memory than what the layers put out.",
    "weights-outweigh-outputs.bytes": (
        "Weights: {weights:bytes}; outputs of one forward, all kept: {outputs:bytes}; that is {ratio:ratio} to one."
    ),
    "weights-outweigh-outputs.heaviest": "The heaviest weights: {path:layer} with {amount:bytes}, {share:share}.",
    "weights-outweigh-outputs.largest_output": "The largest output: {path:layer} with {amount:bytes}, {share:share}.",
    "weights-outweigh-outputs.batch": "From a batch of {batch:count} on the outputs take more.",
    "claim.grouping": "Convolutions are split into groups, which divides their parameters and their work.",
    "grouping.nothing_to_split": "No convolution here could be split into two groups.",
    "grouping.grouped": (
        "{path:layer} has {groups:count} groups: {params:count} parameters instead of {whole_params:count}, "
        "{macs:count} MACs instead of {whole_macs:count}."
    ),
    "grouping.could_be_grouped": (
        "{path:layer} has none; {groups:count} groups would leave {split_params:count} of {params:count} parameters "
        "and {split_macs:count} of {macs:count} MACs."
    ),
    "grouping.together": (
        "Together {groups:count} groups in each of these would save {params:count} parameters and {macs:count} MACs "
        "(computed)."
    ),
    "claim.size-in-one-layer": "One layer holds most of the parameters: change it first for a smaller model.",
    "size-in-one-layer.nothing_to_share": "There are no parameters here.",
    "size-in-one-layer.largest": "{path:layer} holds {amount:count} parameters, {share:share}.",
    "size-in-one-layer.halved": (
        "With {half:count} outputs instead of {width:count} in {path:layer}, and {followers:layers} to match, the "
        "model has {after:count} parameters instead of {before:count}, {share:share} fewer (traced)."
    ),
    "claim.work-in-one-layer": "One layer does most of the work: change it first for a faster model.",
    "work-in-one-layer.nothing_to_share": "Nothing was counted here.",
    "work-in-one-layer.largest": "{path:layer} does {amount:count} MACs, {share:share}.",
    "work-in-one-layer.halved": (
        "With {half:count} outputs instead of {width:count} in {path:layer}, and {followers:layers} to match, a "
        "forward takes {after:count} MACs instead of {before:count}, {share:share} fewer (traced)."
    ),
    "claim.outputs-in-one-layer": (
        "One layer's output takes most of the memory that all outputs take: change it first for leaner training."
    ),
    "outputs-in-one-layer.nothing_to_share": "No layer puts out anything new.",
    "outputs-in-one-layer.largest": "{path:layer} puts out {amount:bytes}, {share:share} of all outputs.",
    "outputs-in-one-layer.halved": (
        "With {half:count} outputs instead of {width:count} in {path:layer}, and {followers:layers} to match, all "
        "outputs together take {after:bytes} instead of {before:bytes}, {share:share} less (traced)."
    ),
    "outputs-in-one-layer.no_step": (
        "What a training step keeps for backward was not traced: it fails here, or there is nothing to train."
    ),
    "outputs-in-one-layer.kept": (
        "A training step so changed keeps {after:bytes} for backward, the model's input included, instead of "
        "{before:bytes}, {share:share} less (traced)."
    ),
}
