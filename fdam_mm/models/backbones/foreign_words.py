"""What the words of other toolkits' backbones mean here, so that a config needs another ``type``
and nothing else.

A word that does something here is an argument of the backbone. The others stand below, with the
values by which they ask for what our backbone does anyway. Any other value, and a word that nobody
knows, is refused by name.
"""

import difflib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fdam_mm.errors import ConfigError


@dataclass(frozen=True)
class Word:
    """An argument of another toolkit's backbone that ours has not.

    Args:
        same: Values that ask for what ours does anyway; None where every value does.
        remedy: What to do in place of any other.
    """

    same: tuple[Any, ...] | None
    remedy: str

    def accepts(self, value: Any) -> bool:
        return self.same is None or _plain(value) in [_plain(v) for v in self.same]


_WITHOUT = "this backbone does without; leave the argument out"
_OUT_SHAPE = Word(("NCHW",), "the outputs are maps (B, C, H, W); leave the argument out")
_FROZEN_EXCLUDE = "use frozen_stages=k, which freezes the embedding and the first k blocks"
_FREEZE_STATISTICS = "use {}, which keeps the running statistics too"

VISION_TRANSFORMER = dict(
    patch_pad=Word(("corner",), "write pad_patches=False in place of patch_pad=0"),
    out_origin=Word((False,), "what the blocks start from is not returned; use out_indices"),
    patch_norm=Word((False,), _WITHOUT),
    pre_norm=Word((False,), _WITHOUT),
    num_fcs=Word((2,), "the MLP has two linears; set its width by mlp_ratio"),
    norm_eval=Word((True, False), "a LayerNorm has no running statistics"),
    frozen_exclude=Word((["all"],), _FROZEN_EXCLUDE),
    out_shape=_OUT_SHAPE,
)
MIX_VISION_TRANSFORMER = dict(
    img_size=Word(None, "there are no positions to resize"),
    patch_norm=Word((True,), "every patch embedding ends in a norm; leave it out"),
    final_norm=Word((True,), "every stage ends in a norm; leave it out"),
    with_cls_token=Word((False,), "MiT has no class token; leave it out"),
    output_cls_token=Word((False,), "MiT has no class token; leave it out"),
    norm_eval=Word((True, False), "a LayerNorm has no running statistics"),
    out_shape=_OUT_SHAPE,
)
LSKNET = dict(
    img_size=Word(None, "there are no positions to resize"),
    act_cfg=Word((dict(type="GELU"),), "LSKNet has GELU; leave it out"),
    norm_layer=Word((None,), "every stage ends in a LayerNorm with eps 1e-6; leave it out"),
    norm_eval=Word((False,), _FREEZE_STATISTICS.format("frozen_stages=k")),
    out_shape=_OUT_SHAPE,
)
ATTNET = dict(
    dims=Word((), "write embed_dims"),
    exp_rates=Word((), "write mlp_ratios"),
    num_classes=Word(None, "a backbone has no classes"),
    conv_bias=Word((True,), "the projections have biases"),
    distillation=Word((False,), "a backbone has no head"),
    use_layer_scale=Word((True,), "write layer_scale_init=None"),
    glu_dconv=Word((), "write glu_dwconv"),
)
L2VIT = dict(
    dims=Word((), "write embed_dims"),
    mlp_ratio=Word((), "write mlp_ratios"),
    num_classes=Word(None, "a backbone has no classes"),
    block_type=Word(("mix_local_enhanced_vit",), "use block_types=('window', 'linear')"),
    conv_stem_type=Word(("2L",), "the stem has two convolutions"),
    cpe_act=Word((False,), "the conditional positions have no activation"),
    norm=Word((dict(type="LN"),), "the outputs have LayerNorms"),
)
VMAMBA = dict(
    dims=Word((), "write embed_dims, one value per stage"),
    ssm_d_state=Word((), "write d_state"),
    ssm_dt_rank=Word((), "write dt_rank"),
    ssm_conv=Word((), "write conv_size"),
    ssm_conv_bias=Word((), "write conv_bias"),
    ssm_act_layer=Word(("silu",), "the scan's input has a SiLU; leave it out"),
    ssm_drop_rate=Word((0.0,), _WITHOUT),
    ssm_init=Word(("v0",), "the scan starts as Mamba's; leave it out"),
    forward_type=Word(("v05_noz", "v05noz"), "the scan has no gate; leave it out"),
    mlp_act_layer=Word(("gelu",), "the MLP has a GELU; leave it out"),
    mlp_drop_rate=Word((0.0,), _WITHOUT),
    gmlp=Word((False,), _WITHOUT),
    patch_norm=Word((True,), "the stem has LayerNorms; leave it out"),
    norm_layer=Word(("ln", "LN", "ln2d"), "every norm is a LayerNorm; leave it out"),
    downsample_version=Word(("v3",), "stages begin with a 3x3 convolution; leave it out"),
    patchembed_version=Word(("v2",), "the stem has two 3x3 convolutions; leave it out"),
    use_checkpoint=Word((False,), "write with_cp"),
    num_classes=Word(None, "a backbone has no classes"),
    img_size=Word(None, "there are no positions to resize"),
)
NAT = dict(
    embed_dim=Word((), "write embed_dims, one value per stage"),
    layer_scale=Word((None,), "write layer_scale_init"),
    qk_scale=Word((None,), "logits are scaled by the head's channels; leave it out"),
    drop_rate=Word((0.0,), _WITHOUT),
    attn_drop_rate=Word((0.0,), _WITHOUT),
    num_classes=Word(None, "a backbone has no classes"),
)
CROSSFORMER = dict(
    img_size=Word(None, "the model takes any size"),
    patch_size=Word((), "write patch_sizes"),
    embed_dim=Word((), "write embed_dims, one value per stage"),
    group_size=Word((), "write group_sizes"),
    crs_interval=Word((), "write intervals"),
    merge_size=Word((), "write merge_sizes"),
    use_acl=Word((False,), "write cooling"),
    adaptive_interval=Word((False,), "write intervals=None"),
    group_type=Word(("constant",), "a stage has groups of one size; leave it out"),
    use_cpe=Word((False,), _WITHOUT),
    ape=Word((False,), _WITHOUT),
    patch_norm=Word((True,), "the stem ends in a LayerNorm; leave it out"),
    qk_scale=Word((None,), "logits are scaled by the head's channels; leave it out"),
    drop_rate=Word((0.0,), _WITHOUT),
    attn_drop_rate=Word((0.0,), _WITHOUT),
    use_checkpoint=Word((False,), "write with_cp"),
    num_classes=Word(None, "a backbone has no classes"),
)
STVIT = dict(
    embed_dim=Word((), "write embed_dims"),
    stoken_size=Word((), "write cell_sizes"),
    n_iter=Word((), "write num_rounds"),
    layerscale=Word((), "write layer_scale_inits"),
    init_values=Word((), "write layer_scale_inits"),
    projection=Word(None, "a backbone has no classes"),
    freeze_bn=Word((False,), _FREEZE_STATISTICS.format("frozen_stages=k")),
    qk_scale=Word((None,), "logits are scaled by the head's channels; leave it out"),
    drop_rate=Word((0.0,), _WITHOUT),
    attn_drop_rate=Word((0.0,), _WITHOUT),
    use_checkpoint=Word((False,), "write with_cp"),
    num_classes=Word(None, "a backbone has no classes"),
)
MAMBAVISION = dict(
    dim=Word((), "write embed_dims, one value per stage"),
    in_dim=Word((), "write stem_channels"),
    window_size=Word((), "write window_sizes, of the last two stages"),
    layer_scale=Word((None,), "write layer_scale_init"),
    layer_scale_conv=Word((None,), _WITHOUT),
    norm_layer=Word(("ln2d", "ln"), "the outputs have LayerNorms; leave it out"),
    qkv_bias=Word((True,), "the projections have biases"),
    qk_scale=Word((None,), "logits are scaled by the head's channels; leave it out"),
    drop_rate=Word((0.0,), _WITHOUT),
    attn_drop_rate=Word((0.0,), _WITHOUT),
    num_classes=Word(None, "a backbone has no classes"),
)
SGFORMER = dict(
    num_classes=Word(None, "a backbone has no classes"),
    patch_size=Word((4,), "the first stage has a stride of 4"),
    sr_ratios=Word(([8, 4, 2, 1],), "the strides are 8, 4 and 2"),
    qkv_bias=Word((True,), "the projections have biases"),
    num_stages=Word((4,), "there are four stages"),
)
SOFT = dict(
    num_classes=Word(None, "a backbone has no classes"),
    patch_size=Word((4,), "the first stage has a stride of 4"),
    mlp_ratios=Word((), "write mlp_ratio, of the last stage"),
    sr_ratios=Word(([8, 4, 2, 1],), "landmarks sum up squares of 8, 4 and 2"),
    qkv_bias=Word((True,), "the projections have biases"),
    newton_max_iter=Word((), "write newton_iterations"),
    kernel_method=Word(("torch", "cuda"), "there is one kernel"),
)
TIMM = dict(
    norm_cfg=Word((), "use norm_layer, timm's word, e.g. norm_layer='layernorm'"),
    act_cfg=Word((), "use act_layer, timm's word, e.g. act_layer='gelu'"),
    features_only=Word((True,), "a backbone returns features; leave it out"),
    patch_pad=Word(("corner",), "pad_multiple says how inputs are padded"),
    out_origin=Word((False,), "use out_indices"),
    with_cls_token=Word((True,), "the model decides; leave it out"),
    output_cls_token=Word((False,), "class tokens are not returned; leave it out"),
    interpolate_mode=Word(("bicubic",), "timm resizes positions bicubically; leave it out"),
    num_fcs=Word((2,), "the model decides; leave it out"),
    patch_bias=Word((True,), "the model decides; leave it out"),
    norm_eval=Word((False,), _FREEZE_STATISTICS.format("frozen=[names of modules]")),
    frozen_exclude=Word((["all"],), "use frozen=[names of modules]"),
    out_shape=_OUT_SHAPE,
)
# Words that some models of timm have too; looked up where timm's model has them not.
TIMM_MAYBE = dict(
    drop_rate=Word((0.0,), "this model of timm has no such dropout; leave it out"),
    attn_drop_rate=Word((0.0,), "this model of timm has no such dropout; leave it out"),
    drop_path_rate=Word((0.0,), "this model of timm has no stochastic depth; leave it out"),
    final_norm=Word((False,), "use out_norm=True for a LayerNorm on each map"),
    patch_norm=Word((False,), "the model decides; leave it out"),
    pre_norm=Word((False,), "the model decides; leave it out"),
    img_size=Word(None, "the model takes any size"),
)


def refuse_foreign(backbone: type, given: Mapping[str, Any], words: Mapping[str, Word]) -> None:
    """Refuse what ``given`` asks for and ``backbone`` does not do.

    Args:
        backbone: The class that was given them.
        given: Keyword arguments that are not among its own.
        words: Those that it understands.

    Raises:
        ConfigError: An argument that is not in ``words``, or a value that its word does not
            accept.
    """
    for name, value in given.items():
        if name not in words:
            raise ConfigError(
                f"{backbone.__name__} has no argument {name!r}{_near(backbone, name)}"
            )
        if not words[name].accepts(value):
            expected = " or ".join(map(repr, words[name].same)) or "nothing"
            raise ConfigError(
                f"{backbone.__name__}: {name} is {value!r}, expected {expected}: "
                f"{words[name].remedy}"
            )


def _near(backbone: type, name: str) -> str:
    parameters = inspect.signature(backbone).parameters.values()
    own = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]
    near = difflib.get_close_matches(name, own)
    return f"; near it: {', '.join(near)}" if near else f"; it has {', '.join(own)}"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
