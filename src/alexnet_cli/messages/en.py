"""English."""

MESSAGES: dict[str, str] = {
    "title": "Claims about {model}, checked",
    "root": "the model itself",
    "more": "{names} and {rest} more",
    "unshown": "{count:count} more like this; --json lists them all",
    "macs": (
        "MACs are multiply-accumulates of one forward, without bias additions. "
        "Traced means that the changed model was run, on shapes only; computed means that it was not."
    ),
    "column.code": "Finding",
    "column.verdict": "Verdict",
    "verdict.holds": "holds",
    "verdict.partly": "partly",
    "verdict.fails": "fails",
    "verdict.not_applicable": "not applicable",
    # Any finding
    "any.failed": "The forward failed at {path:layer}, so the model cannot be judged.",
    "any.not_run": "The model was not run, and its parameters alone do not show this.",
    "any.nothing_of_these": "The model has no such layers.",
    "any.no_parameters": "The model has no parameters.",
    "any.no_convolutions": "The model has no convolution layer.",
    "any.not_both": "This compares convolutions with linear layers; the model does not have both.",
    "any.not_traced": (
        "Halving the outputs of {path:layer} was not traced: a saved report or a checkpoint cannot be run."
    ),
    "any.needs_values": (
        "Halving the outputs of {path:layer} was not traced: the model needs values to run, and changes are traced "
        "on shapes only."
    ),
    "any.not_built": "Halving the outputs of {path:layer} was not traced: {error}.",
    "any.other_kind": (
        "{path:layer} ({type}) is not a convolution, linear layer or embedding; only their outputs are halved."
    ),
    "any.too_few": "{path:layer} has {width:n output|outputs}, too few to halve.",
    "any.last_layer": (
        "No other layer reads the outputs of {path:layer} before the model returns them: halving them would change "
        "the answer, not shrink the model."
    ),
    "any.does_not_fit": (
        "With half the outputs of {path:layer} the forward fails at {at:layer}, which needs all of them; other layers "
        "would have to change too."
    ),
    "any.not_divisible": (
        "With half the outputs of {path:layer}, {at:layer} would have {width:n channel|channels}, which do not divide "
        "into its {groups:n group|groups}."
    ),
    "any.shared_weights": (
        "With half the outputs of {path:layer} the weights of {at:layer} would have to change, but other layers "
        "share them."
    ),
    "any.other_weights": (
        "With half the outputs of {path:layer} the weights of {at:layer} ({type}) would have to change, but it does "
        "not store them as torch's own layers do."
    ),
    "any.no_attention": "The model multiplies no activations with activations, as attention does.",
    "any.no_softmax": "No layer weighs keys by a softmax, as attention does.",
    "any.no_length": "The model's inputs have no length that could be varied.",
    "any.no_tokens": "The model takes no text of tokens.",
    "any.not_run_again": (
        "This takes more runs, on shapes only: a saved report, a checkpoint or a model that needs values has none."
    ),
    "any.not_served": "A token after a cache was not run: {why}.",
    "any.uncounted": "Not counted, for lack of a MAC formula: {operators:names}.",
    # The course notebook's claims
    "claim.stack": "Convolutions and poolings are stacked, followed by a flatten and linear layers.",
    "stack.counts": (
        "{convolutions:n convolution|convolutions}, {poolings:n pooling|poolings}, "
        "{linears:n linear layer|linear layers}."
    ),
    "stack.other_kinds": "Other kinds of layers play a main part: {paths:layers}.",
    "stack.no_pooling": "There is no pooling layer.",
    "stack.no_linear": "There is no linear layer.",
    "stack.linear_before": "Linear layers run before the last convolution or pooling, {last:layer}: {paths:layers}.",
    "stack.no_flatten": "No flatten comes before {path:layer}.",
    "stack.branches": "Branches join at {count:n place|places}, so this is not a single stack: {paths:layers}.",
    "claim.relu-outputs": "Every layer except max-pooling and the final softmax is followed by a ReLU.",
    "relu-outputs.through_relu": (
        "{kept:count} of {layers:n layer|layers}, not counting pooling, reshaping, dropout and softmax."
    ),
    "relu-outputs.goes_to": "No ReLU runs between {path:layer} ({type}) and {next:layer}.",
    "relu-outputs.comes_out": "{path:layer} ({type}) has no activation after it: its output is the model's.",
    "relu-outputs.other_activation": "{path:layer} ({type}) is followed by {activation}, not ReLU.",
    "claim.narrow-and-deep": (
        "Feature maps go from wide and shallow to narrow and deep, and deeper layers have more parameters."
    ),
    "narrow-and-deep.shapes": "The map goes from {first:shape} at the input to {last:shape} at {path:layer}.",
    "narrow-and-deep.too_few_convolutions": (
        "Nothing to compare: only {convolutions:n convolution|convolutions} with known settings."
    ),
    "narrow-and-deep.wider": "{path:layer} widens the map from {before:shape} to {shape:shape}.",
    "narrow-and-deep.shallower": "{path:layer} goes back from {before:count} to {channels:count} channels.",
    "narrow-and-deep.fewer_parameters": (
        "{path:layer} has {params:count} parameters, fewer than the {most:count} of {other:layer} before it."
    ),
    "narrow-and-deep.same_shape": (
        "{path:layer} has {params:count} parameters, fewer than the {most:count} of {other:layer}, though both output "
        "{shape:shape}: the depth of the input matters too."
    ),
    "claim.parameters-in-conv-and-linear": (
        "Only convolutions and linear layers have parameters; ReLU and max-pooling have no weights to train."
    ),
    "parameters-in-conv-and-linear.holders": (
        "{convolutions:n convolution|convolutions} and {linears:n linear layer|linear layers} hold {share:share} of "
        "the parameters."
    ),
    "parameters-in-conv-and-linear.other_holder": (
        "{type} also holds {params:count} ({share:share}), in {paths:layers}."
    ),
    "parameters-in-conv-and-linear.none_to_learn": "Without parameters: {types:names}.",
    "parameters-in-conv-and-linear.unused": "Not considered, because they are never called: {paths:layers}.",
    "claim.linear-dominates": "Linear layers have far more parameters than convolutions.",
    "linear-dominates.parameters": "Linear layers have {linear:count} parameters, convolutions {conv:count}.",
    "linear-dominates.ratio": "That is {ratio:ratio} times as many.",
    "linear-dominates.other_way": "The opposite holds: convolutions have {ratio:ratio} times as many.",
    # Claims that a teacher would add
    "claim.mirror-images": (
        "Parameters and work mirror each other: linear layers hold most parameters, convolutions do most of the work."
    ),
    "mirror-images.params": "Linear layers hold {linear:share} of the parameters, convolutions {conv:share}.",
    "mirror-images.macs": "Linear layers do {linear:share} of the MACs, convolutions {conv:share}.",
    "mirror-images.why": (
        "Why: a convolution's parameter does {conv:ratio} MACs on average, because it is used at every position of a "
        "feature map; a linear layer's does {linear:ratio}."
    ),
    "claim.weight-sharing": "A convolution shares its weights: it uses each of them at many positions.",
    "weight-sharing.used": (
        "{path:layer} uses each of its {weights:count} weights at {places:n position|positions}; "
        "a dense layer between the same maps would need {dense_params:count} parameters instead of {params:count}."
    ),
    "claim.weights-outweigh-outputs": "The weights take more memory than the layers' outputs.",
    "weights-outweigh-outputs.bytes": (
        "Weights: {weights:bytes}; all outputs of one forward: {outputs:bytes}; weights to outputs: {ratio:ratio}."
    ),
    "weights-outweigh-outputs.heaviest": "Largest weights: {path:layer}, {amount:bytes} ({share:share}).",
    "weights-outweigh-outputs.largest_output": "Largest output: {path:layer}, {amount:bytes} ({share:share}).",
    "weights-outweigh-outputs.batch": "From batch size {batch:count} on, the outputs take more.",
    "claim.grouping": "Convolutions are split into groups, which divides their parameters and their work.",
    "grouping.nothing_to_split": "No convolution can be split into two groups.",
    "grouping.grouped": (
        "{path:layer} has {groups:count} groups: {params:count} parameters instead of {whole_params:count}, "
        "{macs:count} MACs instead of {whole_macs:count}."
    ),
    "grouping.could_be_grouped": (
        "{path:layer} has no groups; {groups:count} would leave {split_params:count} of its {params:count} parameters "
        "and {split_macs:count} of its {macs:count} MACs."
    ),
    "grouping.together": (
        "{groups:count} groups in each of these would save {params:count} parameters and {macs:count} MACs in all "
        "(computed)."
    ),
    "claim.size-in-one-layer": "One layer holds most of the parameters: to shrink the model, change it first.",
    "size-in-one-layer.nothing_to_share": "The model has no parameters.",
    "size-in-one-layer.largest": "{path:layer} holds {amount:count} parameters, {share:share}.",
    "size-in-one-layer.halved": (
        "With {half:count} outputs instead of {width:count} in {path:layer}, and {followers:layers} to match, the "
        "model has {after:count} parameters instead of {before:count}, {share:share} fewer (traced)."
    ),
    "claim.work-in-one-layer": "One layer does most of the work: to speed the model up, change it first.",
    "work-in-one-layer.nothing_to_share": "No MACs were counted.",
    "work-in-one-layer.largest": "{path:layer} does {amount:count} MACs, {share:share}.",
    "work-in-one-layer.halved": (
        "With {half:count} outputs instead of {width:count} in {path:layer}, and {followers:layers} to match, a "
        "forward takes {after:count} MACs instead of {before:count}, {share:share} fewer (traced)."
    ),
    "claim.outputs-in-one-layer": (
        "One layer's output takes most of the memory of all outputs: to save memory in training, change it first."
    ),
    "outputs-in-one-layer.nothing_to_share": "No layer allocates an output.",
    "outputs-in-one-layer.largest": "{path:layer} outputs {amount:bytes}, {share:share} of all outputs.",
    "outputs-in-one-layer.halved": (
        "With {half:count} outputs instead of {width:count} in {path:layer}, and {followers:layers} to match, all "
        "outputs together take {after:bytes} instead of {before:bytes}, {share:share} less (traced)."
    ),
    "outputs-in-one-layer.no_step": (
        "What a training step saves for backward was not traced: the step fails, or there is nothing to train."
    ),
    "outputs-in-one-layer.kept": (
        "With that change a training step saves {after:bytes} for backward, the model's input included, instead of "
        "{before:bytes}, {share:share} less (traced)."
    ),
    # Claims about language models
    "claim.attention-overtakes": (
        "Attention grows with the square of the length, all else with the length: "
        "from some length on it does more work than all layers with weights."
    ),
    "attention-overtakes.no_law": "No law of the length was found that its work follows.",
    "attention-overtakes.laws": (
        "For n tokens, products of activations with activations, those of attention, take {attention:polynomial} MACs, "
        "products with weights {weights:polynomial}."
    ),
    "attention-overtakes.now": (
        "At the {length:n token|tokens} of this run attention has {share:share} of the MACs of both."
    ),
    "attention-overtakes.overtakes": (
        "From {length:n token|tokens} on attention does more: there {attention:count} MACs against {weights:count}; "
        "at {before:count} not yet (traced)."
    ),
    "attention-overtakes.never": "By these laws attention overtakes at no length.",
    "attention-overtakes.other_law": (
        "By these laws it would overtake near {length:n token|tokens}, but there it does {attention:count} MACs "
        "against {weights:count} (traced): long inputs follow another law."
    ),
    "attention-overtakes.too_few_places": (
        "It would overtake at {length:n token|tokens} (computed), but the model has only {places:n position|positions}."
    ),
    "attention-overtakes.refused": (
        "It would overtake at {length:n token|tokens} (computed), but the model does not run at that length: {why}."
    ),
    "attention-overtakes.loops": (
        "It would overtake at {length:n token|tokens} (computed); the model runs token by token, too long to be traced."
    ),
    "attention-overtakes.linear": (
        "In {count:count} of {layers:n module|modules} with such products they grow no faster than the length: "
        "{paths:layers}."
    ),
    "attention-overtakes.window": (
        "{count:count} of {layers:n module|modules} with a cache ({paths:layers}) let token {context:count} attend to "
        "{keys:n key|keys} only (traced): beyond that window the attention that is needed grows with the length."
    ),
    "attention-overtakes.state": (
        "With {context:n token|tokens} the model keeps {bytes:bytes}, and one more token adds nothing (traced): "
        "what a token takes does not grow with the length."
    ),
    "claim.keys-are-shared": (
        "The cache holds less than a key and a value for each query head of each layer: heads share them."
    ),
    "keys-are-shared.no_keys": "The attention reads nothing that is cached.",
    "keys-are-shared.shared": (
        "In {count:count} of {layers:n module|modules} {heads:n query head|query heads} share "
        "{of_keys:n head|heads} of keys and values: each cached number is used {ratio:ratio} times for a token."
    ),
    "keys-are-shared.latent": (
        "In {count:count} of {layers:n module|modules} the cache holds {cached:n number|numbers} for each token "
        "instead of {whole:count}: weights make keys and values of them. That is {ratio:ratio} times fewer."
    ),
    "keys-are-shared.own": (
        "In {count:count} of {layers:n module|modules} each of {heads:n query head|query heads} has keys and values of "
        "its own."
    ),
    "keys-are-shared.reused": (
        "{count:count} of {layers:n module|modules} read what an earlier one has cached: {paths:layers}."
    ),
    "keys-are-shared.cache": (
        "Keys and values of {context:n token|tokens} take {bytes:bytes}; with some for each query head of each layer "
        "they would take {instead:bytes}."
    ),
    "claim.token-reads-all": "Decoding a single token reads all weights.",
    "token-reads-all.read": "A token reads {read:bytes} of the {all:bytes} of weights, {share:share}.",
    "token-reads-all.looked_up": "Of tables with {bytes:bytes} it only looks up rows, {read:bytes}.",
    "token-reads-all.experts": (
        "In {layers:n layer|layers} it reads {per_token:count} of {count:n expert|experts}; all of them hold "
        "{share:share} of the weights."
    ),
    "token-reads-all.idle": "A token uses nothing of another {bytes:bytes}: only the prompt does, or nothing.",
    "token-reads-all.intensity": (
        "Token {context:count} of one sequence does {token:ratio} FLOPs for each byte that must be moved; a prompt "
        "of as many tokens does {prompt:ratio}."
    ),
    "claim.embedding-is-large": "The embedding holds a large part of the parameters, a quarter or more.",
    "embedding-is-large.no_embedding": "The model looks up no rows of a table.",
    "embedding-is-large.table": (
        "{path:layer} has {rows:n row|rows} of {width:count}, {params:count} parameters, {share:share}."
    ),
    "embedding-is-large.tied": "{path:layer} multiplies with the table of {table:layer}, which counts once.",
    "embedding-is-large.as_many": (
        "{path:layer} has as many, {params:count}, of its own; with it the share is {share:share}."
    ),
}
