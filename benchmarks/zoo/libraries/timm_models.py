"""Models of timm by name: at least one of each family, the small ones."""

from __future__ import annotations

from functools import partial

import timm

from zoo.architecture import Architecture

NAMES = """
    bat_resnext26ts beit_base_patch16_224 beitv2_base_patch16_224 botnet26t_256 caformer_s18 cait_xxs24_224 coat_tiny
    coatnet_nano_rw_224 coatnext_nano_rw_224 convformer_s18 convit_tiny convmixer_768_32 convnext_atto convnext_tiny
    convnextv2_atto crossvit_9_240 crossvit_tiny_240 cs3darknet_s cspdarknet53 cspresnet50 cspresnext50 darknet53
    davit_tiny deit3_small_patch16_224 deit_tiny_distilled_patch16_224 deit_tiny_patch16_224 densenet121 dla34
    dla46x_c dm_nfnet_f0 dpn48b dpn68 eca_nfnet_l0 eca_resnet33ts ecaresnet26t edgenext_xx_small
    efficientformer_l1 efficientformerv2_s0 efficientnet_b0 efficientnet_es efficientnet_lite0 efficientnetv2_s
    efficientvit_b0 efficientvit_m0 ese_vovnet19b_dw eva02_tiny_patch14_224 fastvit_t8 fbnetc_100 fbnetv3_b
    flexivit_small focalnet_tiny_srf gcresnet33ts gcvit_xxtiny gernet_s ghostnet_100 ghostnetv2_100 gmixer_12_224
    gmlp_ti16_224 halonet26t haloregnetz_b hardcorenas_a hgnet_tiny hgnetv2_b0 hiera_tiny_224 hrnet_w18_small
    inception_next_tiny inception_resnet_v2 inception_v3 inception_v4 lambda_resnet26t lcnet_050 legacy_senet154
    legacy_xception levit_128s mambaout_femto maxvit_nano_rw_256 maxxvit_rmlp_nano_rw_256 mixer_s16_224 mixnet_s
    mnasnet_small mobilenet_edgetpu_100 mobilenetv1_100 mobilenetv2_050 mobilenetv3_small_050
    mobilenetv4_conv_small mobilenetv4_hybrid_medium mobilenetv5_base mobileone_s0 mobilevit_xxs mobilevitv2_050
    mvitv2_tiny nasnetalarge nest_tiny nextvit_small nf_resnet26 nfnet_f0 pit_ti_224 pnasnet5large poolformer_s12
    pvt_v2_b0 rdnet_tiny regnetv_040 regnetx_002 regnety_002 regnetz_b16 repghostnet_050 repvgg_a0 repvit_m0_9
    res2net50_14w_8s resmlp_12_224 resnest14d resnet18 resnet50d resnetaa50 resnetblur18 resnetrs50 resnetv2_50
    resnext50_32x4d rexnet_100 samvit_base_patch16 sebotnet33ts_256 selecsls42 semnasnet_050 sequencer2d_s
    seresnet18 seresnext26d_32x4d shvit_s1 skresnet18 spnasnet_100 starnet_s1 swiftformer_xs swin_s3_tiny_224
    swin_tiny_patch4_window7_224 swinv2_cr_tiny_224 swinv2_tiny_window8_256 tf_efficientnet_b0 tiny_vit_5m_224
    tinynet_a tnt_s_patch16_224 tresnet_m twins_pcpvt_small twins_svt_small vgg11 vgg11_bn visformer_tiny
    vit_base_patch16_siglip_224 vit_base_r26_s32_224 vit_medium_patch16_gap_240 vit_relpos_small_patch16_224
    vit_srelpos_small_patch16_224 vit_tiny_patch16_224 vit_tiny_r_s16_p8_224 vitamin_small_224 volo_d1_224
    wide_resnet50_2 xception41 xcit_nano_12_p16_224 naflexvit_base_patch16_gap csatv2 cspnext_tiny efficientvim_m1
    fasternet_t0 sam2_hiera_tiny
"""


def known() -> list[str]:
    """Return the names that the installed timm has."""
    return [name for name in NAMES.split() if timm.is_model(name)]


ARCHITECTURES = [
    Architecture("timm", name, "vision", partial(timm.create_model, name, pretrained=False)) for name in known()
]
