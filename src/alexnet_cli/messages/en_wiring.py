"""English: claims about the wiring of training."""

MESSAGES: dict[str, str] = {
    "any.no_training_step": (
        "This takes a training step, on shapes only: there is nothing to train, or nothing that can be run on them."
    ),
    "any.step_failed": "The training step failed: {error}",
    "claim.gradients-reach-all": "Every parameter that is trained gets a gradient in a training step.",
    "gradients-reach-all.counts": (
        "{missed:count} of {trained:n parameter tensor|parameter tensors} that require a gradient get none."
    ),
    "gradients-reach-all.cut_off": (
        "{path:layer} is run, but the loss does not depend on {names:names}{line:at}: {params:n "
        "parameter|parameters} stay as they are."
    ),
    "gradients-reach-all.not_read": (
        "Nothing reads {names:names} of {path:layer}{line:at}: {params:n parameter|parameters} stay as they are."
    ),
    "claim.optimiser-has-all": "Every parameter that is trained stands in a group of the model's own optimiser.",
    "optimiser-has-all.no_optimiser": (
        "The model does not say how it is updated: it has no method configure_optimizers, as Lightning's modules have."
    ),
    "optimiser-has-all.needs_arguments": (
        "The optimiser of the model is not known: its configure_optimizers needs {why}."
    ),
    "optimiser-has-all.optimiser_failed": (
        "The optimiser of the model is not known: its configure_optimizers failed ({why})."
    ),
    "optimiser-has-all.counts": (
        "configure_optimizers updates {updated:count} of {trained:n parameter tensor|parameter tensors} that require "
        "a gradient."
    ),
    "optimiser-has-all.left_out": (
        "No group of the optimiser has {names:names} of {path:layer}{line:at}: {params:n parameter|parameters} stay "
        "as they are."
    ),
    "claim.ddp-takes-it": "DistributedDataParallel trains the model as it is, without find_unused_parameters.",
    "ddp-takes-it.all": (
        "All {trained:n parameter tensor|parameter tensors} that require a gradient get one in this step."
    ),
    "ddp-takes-it.find_unused": (
        "{names:names} get no gradient{line:at}: DistributedDataParallel stops at the second step, unless they are "
        "frozen or it is given find_unused_parameters=True, which searches the graph in each step."
    ),
    "ddp-takes-it.buffer": (
        "The buffer {name} grows from step to step{line:at}: DistributedDataParallel sends buffers from the first "
        "rank as they were when it was made."
    ),
    "ddp-takes-it.lazy": (
        "{names:names} have no shape before the first forward: DistributedDataParallel takes the model only after one."
    ),
    "claim.nothing-grows": "Nothing that the model holds grows from step to step.",
    "nothing-grows.none": "After a second forward buffers and attributes hold as much as after the first.",
    "nothing-grows.buffer": "The buffer {name} grows with each step, from {before:bytes} to {after:bytes}{line:at}.",
    "nothing-grows.attribute": (
        "{name} holds tensors that grow with each step, from {before:bytes} to {after:bytes}{line:at}."
    ),
    "nothing-grows.graph": (
        "{name} holds tensors with the graph that made them, and grows with each step, from {before:bytes} to "
        "{after:bytes}{line:at}: all activations of those steps stay in memory. Detach them."
    ),
    "claim.modes-agree": "Dropout and batch norm run in the mode of the model, in training and in eval.",
    "modes-agree.none": "No dropout or batch norm runs in another mode, or on one sample.",
    "modes-agree.eval": (
        "In training {count:n layer runs|layers run} in eval mode, because {region:layer} does, though it is "
        "trained: {paths:layers}{line:at}."
    ),
    "modes-agree.updates": (
        "{paths:layers} update running statistics though their own parameters are frozen{line:at}: put them into "
        "eval mode after train()."
    ),
    "modes-agree.undone": (
        "{region:layer} is put into eval mode when it is made{line:at}, and train() puts it back: override train(), "
        "or call eval() after it."
    ),
    "modes-agree.always": (
        "{types:names} in {paths:layers} works as in training in eval mode too{line:at}: pass "
        "training=self.training, or a dropout_p of 0 in eval mode."
    ),
    "modes-agree.one_sample": "{paths:layers} norm over one sample though the batch has more{line:at}.",
    "modes-agree.batch_of_one": (
        "With a batch of 1, {count:n norm takes|norms take} statistics from a single sample: {paths:layers}."
    ),
    "claim.kept-once": "No values are kept for backward twice.",
    "kept-once.none": "Of the {saved:bytes} that are kept for backward nothing is a copy or computed again.",
    "kept-once.total": (
        "{bytes:bytes} are kept a second time, {share:share} of the {saved:bytes} that are kept for backward."
    ),
    "kept-once.copy": (
        "A copy is kept beside what it was copied from, {bytes:bytes} in {count:n operator|operators} of "
        "{paths:layers}{line:at}."
    ),
    "kept-once.again": (
        "The same is computed again from the same values and kept again, {bytes:bytes} in {count:n "
        "operator|operators} of {paths:layers}{line:at}."
    ),
    "claim.no-wider-casts": "No cast makes what is kept for backward larger.",
    "no-wider-casts.none": "Of the {saved:bytes} that are kept for backward nothing is made larger by a cast.",
    "no-wider-casts.total": "Casts add {bytes:bytes}, {share:share} of the {saved:bytes} that are kept for backward.",
    "no-wider-casts.wider": (
        "Values in {given} are kept in {made}, {bytes:bytes} more in {count:n cast|casts} of {paths:layers}{line:at}."
    ),
    "no-wider-casts.both": (
        "The same values are kept in {given} and in {made}, {bytes:bytes} more in {count:n cast|casts} of "
        "{paths:layers}{line:at}."
    ),
    "claim.few-logits": "The loss does not hold the logits of all positions at once.",
    "few-logits.no_such_loss": (
        "No cross-entropy over several positions of a sample runs: the model returns no such loss."
    ),
    "few-logits.logits": (
        "Logits of {positions:count} positions and {classes:n class|classes}, with what softmax and backward make of "
        "them, take up to {bytes:bytes} at once, {share:share} of the peak, at {path:layer}{line:at}. A loss in "
        "chunks that are computed again, or a fused one, holds a part of it."
    ),
}
