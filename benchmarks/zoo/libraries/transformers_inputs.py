"""Inputs of those types of `transformers` for which the program finds none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers


def _tracked(session: type[Any], config: Any) -> dict[str, Any]:
    """Return a video in which an object is pointed at in the first frame."""
    size = config.prompt_encoder_config.image_size
    tracked = session(video=torch.rand(2, 3, size, size), video_height=size, video_width=size, dtype=torch.float32)
    tracked.add_point_inputs(
        tracked.obj_id_to_idx(1),
        frame_idx=0,
        inputs={
            "point_coords": torch.full((1, 1, 1, 2), size / 2),
            "point_labels": torch.ones(1, 1, 1, dtype=torch.int32),
        },
    )
    tracked.obj_with_new_inputs = [1]
    return {"inference_session": tracked, "frame_idx": 0}


INPUTS: dict[str, Callable[[], Any]] = {
    "sam2_video": lambda: _tracked(transformers.Sam2VideoInferenceSession, transformers.Sam2VideoConfig()),
    "sam3_tracker_video": lambda: _tracked(
        transformers.Sam3TrackerVideoInferenceSession, transformers.Sam3TrackerVideoConfig()
    ),
}
