"""The private names of torch that this program uses, all in one place.

Each name is looked up tolerantly: a torch without it costs speed or exactness, as the comment beside the name says,
but never a failed import. A torch upgrade starts here. Imported only where torch is needed anyway.
"""

from __future__ import annotations

from alexnet_cli.torch_insides.checkpoints import meta_storages_are_marked as meta_storages_are_marked
from alexnet_cli.torch_insides.checkpoints import place_in_file as place_in_file
from alexnet_cli.torch_insides.checkpoints import sparse_tensors_unchecked as sparse_tensors_unchecked
from alexnet_cli.torch_insides.compiler import compiled_graphs as compiled_graphs
from alexnet_cli.torch_insides.compiler import compiler_is_loaded as compiler_is_loaded
from alexnet_cli.torch_insides.compiler import imports_unwatched as imports_unwatched
from alexnet_cli.torch_insides.compiler import no_compiler as no_compiler
from alexnet_cli.torch_insides.compiler import spare_compiler as spare_compiler
from alexnet_cli.torch_insides.fake import FakeResults as FakeResults
from alexnet_cli.torch_insides.fake import fake_tensor_mode as fake_tensor_mode
from alexnet_cli.torch_insides.fake import without_values as without_values
from alexnet_cli.torch_insides.modules import ConvNd as ConvNd
from alexnet_cli.torch_insides.modules import DropoutNd as DropoutNd
from alexnet_cli.torch_insides.modules import NormBase as NormBase
from alexnet_cli.torch_insides.modules import buffers_of as buffers_of
from alexnet_cli.torch_insides.modules import has_parts_or_hooks as has_parts_or_hooks
from alexnet_cli.torch_insides.modules import hooks_of as hooks_of
from alexnet_cli.torch_insides.modules import own_buffers as own_buffers
from alexnet_cli.torch_insides.modules import own_modules as own_modules
from alexnet_cli.torch_insides.modules import own_parameters as own_parameters
from alexnet_cli.torch_insides.modules import packed_below as packed_below
from alexnet_cli.torch_insides.modules import packed_bytes as packed_bytes
from alexnet_cli.torch_insides.modules import packed_tensors as packed_tensors
from alexnet_cli.torch_insides.modules import parameters_of as parameters_of
from alexnet_cli.torch_insides.modules import stored_bytes as stored_bytes
from alexnet_cli.torch_insides.modules import tensors_inside as tensors_inside
from alexnet_cli.torch_insides.names import NAMES as NAMES
from alexnet_cli.torch_insides.names import replaced as replaced
from alexnet_cli.torch_insides.operators import DEVICE_ASKED as DEVICE_ASKED
from alexnet_cli.torch_insides.operators import convolution_kernel as convolution_kernel
from alexnet_cli.torch_insides.operators import flex_attention_written_out as flex_attention_written_out
from alexnet_cli.torch_insides.operators import has_kernel as has_kernel
from alexnet_cli.torch_insides.operators import has_tag as has_tag
from alexnet_cli.torch_insides.operators import higher_order_kernel as higher_order_kernel
from alexnet_cli.torch_insides.operators import is_higher_order as is_higher_order
from alexnet_cli.torch_insides.operators import kernel_of as kernel_of
from alexnet_cli.torch_insides.operators import kernel_replaced as kernel_replaced
from alexnet_cli.torch_insides.operators import operator_named as operator_named
from alexnet_cli.torch_insides.operators import overload_named as overload_named
from alexnet_cli.torch_insides.operators import pretended_device as pretended_device
from alexnet_cli.torch_insides.operators import schema_of as schema_of
from alexnet_cli.torch_insides.pipelines import Action as Action
from alexnet_cli.torch_insides.pipelines import actions_told as actions_told
from alexnet_cli.torch_insides.pipelines import interleaved_actions as interleaved_actions
from alexnet_cli.torch_insides.pipelines import pipeline_stages_know_shapes as pipeline_stages_know_shapes
from alexnet_cli.torch_insides.pipelines import prepare_pipeline_stages as prepare_pipeline_stages
from alexnet_cli.torch_insides.pipelines import runs_pipelines as runs_pipelines
from alexnet_cli.torch_insides.ranks import all_to_all_differentiable as all_to_all_differentiable
from alexnet_cli.torch_insides.ranks import bucket_assignment as bucket_assignment
from alexnet_cli.torch_insides.ranks import ddp_buckets_given as ddp_buckets_given
from alexnet_cli.torch_insides.ranks import distributed_classes as distributed_classes
from alexnet_cli.torch_insides.ranks import fake_store as fake_store
from alexnet_cli.torch_insides.ranks import forget_shardings as forget_shardings
from alexnet_cli.torch_insides.ranks import fsdp_collectives_told as fsdp_collectives_told
from alexnet_cli.torch_insides.ranks import group_name as group_name
from alexnet_cli.torch_insides.ranks import local_tensor as local_tensor
from alexnet_cli.torch_insides.ranks import ring_attention as ring_attention
from alexnet_cli.torch_insides.ranks import shapes_worked_out_unseen as shapes_worked_out_unseen
from alexnet_cli.torch_insides.running import DeviceMode as DeviceMode
from alexnet_cli.torch_insides.running import DisableTorchFunction as DisableTorchFunction
from alexnet_cli.torch_insides.running import DispatchMode as DispatchMode
from alexnet_cli.torch_insides.running import backward_node as backward_node
from alexnet_cli.torch_insides.running import default_device_kept as default_device_kept
from alexnet_cli.torch_insides.running import device_constructors as device_constructors
from alexnet_cli.torch_insides.running import function_modes as function_modes
from alexnet_cli.torch_insides.running import is_view as is_view
from alexnet_cli.torch_insides.running import made_state as made_state
from alexnet_cli.torch_insides.running import no_modes as no_modes
from alexnet_cli.torch_insides.running import raw_events as raw_events
from alexnet_cli.torch_insides.running import sequence_number as sequence_number
from alexnet_cli.torch_insides.running import storage_behind as storage_behind
from alexnet_cli.torch_insides.running import storage_identity as storage_identity
from alexnet_cli.torch_insides.running import storages_resized as storages_resized
from alexnet_cli.torch_insides.running import writes_to as writes_to
