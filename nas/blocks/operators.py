"""The operators of PyTorch whose cost is known: which cost nothing, which are products, and how each moves positions.

Names are those of the `aten` namespace as they reach the meta device; an in-place variant follows its plain one.
"""

from __future__ import annotations

from functools import partial

from nas.blocks import reach
from nas.blocks.axes import GLOBAL, LOST, Rule

_FREE: tuple[tuple[Rule, str], ...] = (
    (reach.elementwise, "clone copy detach alias lift_fresh lift_fresh_copy _to_copy expand hardswish"),
    (reach.elementwise, "log_sigmoid_forward _prelu_kernel native_dropout rsub complex polar _weight_norm_interface"),
    (reach.constant, "zeros ones full empty arange linspace logspace eye scalar_tensor tril_indices triu_indices"),
    (reach.constant, "zeros_like ones_like full_like empty_like new_zeros new_ones new_full new_empty"),
    (reach.constant, "new_empty_strided empty_strided rand randn randint randperm rand_like randn_like randint_like"),
    (reach.constant, "zero fill normal uniform bernoulli bucketize searchsorted"),
    (reach.constant, "_local_scalar_dense equal _assert_async _assert_tensor_metadata"),
    (reach.reshape, "view _unsafe_view _reshape_alias unsqueeze squeeze"),
    (reach.permute, "permute transpose t"),
    (reach.reduction, "sum mean prod amax amin max min argmax argmin any all var std var_mean std_mean aminmax"),
    (reach.reduction, "logsumexp norm linalg_vector_norm nansum median count_nonzero"),
    (partial(reach.along, GLOBAL), "_softmax _log_softmax _safe_softmax cumsum cumprod logcumsumexp cummax cummin"),
    (partial(reach.along, GLOBAL), "sort topk kthvalue"),
    (partial(reach.along, LOST), "split split_with_sizes unsafe_split unsafe_split_with_sizes index_select glu"),
    (reach.flip, "flip roll"),
    (reach.select, "select unbind"),
    (reach.strided_slice, "slice"),
    (reach.cat, "cat"),
    (reach.stack, "stack"),
    (reach.index, "index _unsafe_index"),
    (reach.pad, "constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d"),
    (reach.pad, "replication_pad1d replication_pad2d replication_pad3d"),
    (reach.unchanged, "native_batch_norm native_layer_norm native_group_norm cudnn_batch_norm _fused_rms_norm"),
    (reach.unchanged, "_native_batch_norm_legit _native_batch_norm_legit_no_training"),
    (partial(reach.pool, 1), "avg_pool1d"),
    (partial(reach.pool, 2), "avg_pool2d max_pool2d_with_indices"),
    (partial(reach.pool, 3), "avg_pool3d max_pool3d_with_indices"),
    (reach.adaptive_pool, "_adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_max_pool2d adaptive_max_pool3d"),
    (reach.same_size, "upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_linear1d triu tril"),
    (reach.same_size, "upsample_bilinear2d upsample_bicubic2d upsample_trilinear3d _upsample_nearest_exact1d"),
    (reach.same_size, "_upsample_nearest_exact2d _upsample_bilinear2d_aa _upsample_bicubic2d_aa"),
    (reach.same_size, "channel_shuffle native_channel_shuffle repeat"),
    (reach.lost, "gather scatter scatter_add scatter_reduce index_put _index_put_impl index_add index_copy"),
    (reach.lost, "index_fill masked_select masked_scatter nonzero take as_strided unfold im2col col2im diagonal"),
    (reach.lost, "diag_embed pixel_shuffle pixel_unshuffle grid_sampler_2d max_unpool2d embedding rot90"),
    (reach.lost, "slice_scatter select_scatter repeat_interleave view_as_real view_as_complex"),
)

FREE: dict[str, Rule] = {name: rule for rule, names in _FREE for name in names.split()}
"""Operators that cost nothing, beside those that PyTorch itself tags as pointwise."""

PRODUCTS: dict[str, tuple[str, str]] = {
    "mm": ("self", "mat2"),
    "bmm": ("self", "mat2"),
    "addmm": ("mat1", "mat2"),
    "baddbmm": ("batch1", "batch2"),
    "mv": ("self", "vec"),
    "addmv": ("mat", "vec"),
    "dot": ("self", "tensor"),
    "vdot": ("self", "other"),
}
"""Matrix products, with the names of both operands."""

CONVOLUTIONS = ("convolution", "convolution_overrideable", "_convolution")
"""What every convolution of PyTorch, transposed ones included, comes down to."""

ATTENTIONS = (
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention",
)
"""softmax(q·kᵀ)·v in one operator: two matrix products."""
