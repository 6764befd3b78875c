"""Models whose inputs are told by the names of their arguments, by a config or by an odd layer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

WORDS, WIDTH = 100, 8


class Nested(nn.Module):
    """A model of text and images with a config for each, and arguments that are all optional."""

    main_input_name = "input_ids"

    def __init__(self) -> None:
        super().__init__()
        vision = SimpleNamespace(model_type="vision", image_size=48, num_channels=2)
        text = SimpleNamespace(model_type="text", vocab_size=WORDS)
        self.config = SimpleNamespace(vision_config=vision, text_config=text)
        self.embed = nn.Embedding(WORDS, WIDTH)
        self.see = nn.Linear(2 * 48 * 48, WIDTH)

    def forward(
        self, input_ids: Tensor | None = None, pixel_values: Tensor | None = None, labels: Tensor | None = None
    ) -> Tensor:
        del labels
        if input_ids is None or pixel_values is None:
            raise ValueError("both are needed")
        return self.embed(input_ids) + self.see(pixel_values.flatten(1))[:, None]


class Unet(nn.Module):
    """Takes noisy latents, a time step and what they are conditioned on, at the sizes of its config."""

    def __init__(self) -> None:
        super().__init__()
        self.config = {"sample_size": 32, "in_channels": 4, "cross_attention_dim": 24}
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.condition = nn.Linear(24, 4)
        self.grid = nn.Parameter(torch.zeros(4, 32, 32))

    def forward(self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor) -> Tensor:
        condition = self.condition(encoder_hidden_states).mean(1)[:, :, None, None]
        return self.conv(sample) + self.grid + condition + timestep.float()[:, None, None, None]


class Spectrogram(nn.Module):
    """Takes twice as many frames as it has positions, as Whisper does."""

    main_input_name = "input_features"

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(num_mel_bins=20, max_source_positions=50)
        self.conv = nn.Conv1d(20, 4, 3, stride=2, padding=1)

    def forward(self, input_features: Tensor | None = None) -> Tensor:
        if input_features is None or input_features.shape[-1] != 2 * 50:
            raise ValueError("expected the frames of 30 seconds")
        return self.conv(input_features)


class Volumes(nn.Sequential):
    """Normalizes volumes before anything else."""

    def __init__(self) -> None:
        super().__init__(nn.BatchNorm3d(2), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(2, 3))


class Late(nn.Module):
    """Registers its embedding after many other layers."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.LayerNorm(WIDTH) for _ in range(6)])
        self.embed = nn.Embedding(WORDS, WIDTH)

    def forward(self, batch: Tensor) -> Tensor:
        hidden = self.embed(batch)
        for block in self.blocks:
            hidden = block(hidden)
        return hidden


class Raw(nn.Module):
    """Holds plain parameters and no layers."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(7, 3))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight


class Sound(nn.Module):
    """Takes sound, from which a long window is cut."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 4, 4000, stride=4000)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class LooksAtValues(nn.Module):
    """Asks for a value before the shape of the first guess turns out to be wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(WIDTH, 2)

    def forward(self, x: Tensor) -> Tensor:
        if x.sum().item() < 0:
            return x
        if x.dim() != 3:
            raise ValueError("expected a sequence")
        return self.linear(x)


class Unknowable(nn.Module):
    """Takes two things of which nothing tells what they are."""

    def forward(self, left: dict[str, Tensor], right: Any, scale: float = 1.0) -> Tensor:
        return left["a"] + right["b"] * scale


class LooksAndReads(nn.Module):
    """Needs arguments that its signature calls optional: it says so of one, and fails on the other."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.seen = nn.Linear(20, WIDTH)
        self.places = nn.Linear(4, WIDTH)

    def forward(
        self, input_ids: Tensor | None = None, seen: Tensor | None = None, places: Tensor | None = None
    ) -> Tensor:
        if seen is None:
            raise ValueError("`seen` cannot be None")
        return self.words(input_ids) + self.seen(seen) + self.places(places.float())


class SaysItsSize(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, WIDTH, 5, stride=5)

    def forward(self, picture: Tensor) -> Tensor:
        if picture.shape[-2:] != (45, 30):
            height, width = picture.shape[-2:]
            raise ValueError(f"Input size ({height}*{width}) doesn't match the model's (45*30).")
        return self.embed(picture)


class Clips(nn.Module):
    """Takes frames in front of the channels, which nothing but its first line tells."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, WIDTH, 3)

    def forward(self, clip: Tensor) -> Tensor:
        batch, frames, channels, height, width = clip.shape
        return self.conv(clip.reshape(batch * frames, channels, height, width))


class Reads(nn.Module):
    """Reads pictures into the text: as many tokens must stand for one as it has patches, counted by their elements."""

    def __init__(self) -> None:
        super().__init__()
        text = SimpleNamespace(model_type="text", hidden_size=WIDTH)
        vision = SimpleNamespace(model_type="vision", image_size=32, patch_size=8)
        self.config = SimpleNamespace(image_token_id=7, text_config=text, vision_config=vision)
        self.embed = nn.Embedding(WORDS, WIDTH)
        self.see = nn.Conv2d(3, WIDTH, 8, stride=8)

    def forward(self, input_ids: Tensor | None = None, pixel_values: Tensor | None = None) -> Tensor:
        hidden = self.embed(input_ids)
        if pixel_values is None:
            return hidden
        seen = self.see(pixel_values).flatten(2).transpose(1, 2)
        mask = input_ids == 7
        if mask.sum() * WIDTH != seen.numel():
            raise ValueError(f"{mask.sum()} tokens do not match {seen.numel()} features")
        return hidden.masked_scatter(mask[..., None], seen)


class SeesPoorly(Reads):
    """Runs on text, and on no picture."""

    def forward(self, input_ids: Tensor | None = None, pixel_values: Tensor | None = None) -> Tensor:
        if pixel_values is not None:
            raise ValueError("no")
        return super().forward(input_ids)


class Patches(nn.Module):
    """Takes a batch of images as one list of patches, and how many of them each has in time, height and width."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(patch_size=4, temporal_patch_size=2)
        self.see = nn.Linear(3 * 2 * 4 * 4, WIDTH)

    def forward(self, pixel_values: Tensor, grid_thw: Tensor) -> Tensor:
        return self.see(pixel_values).split([time * height * width for time, height, width in grid_thw.tolist()])[0]


class InProportion(nn.Module):
    """Takes an image eight times as large as the latents, and pooled vectors of a width that the config names."""

    def __init__(self) -> None:
        super().__init__()
        self.config = {"in_channels": 4, "sample_size": 16, "pooled_projection_dim": 12}
        self.enter = nn.Conv2d(4, WIDTH, 3, padding=1)
        self.shrink = nn.Conv2d(3, WIDTH, 8, stride=8)
        self.pool = nn.Linear(12, WIDTH)

    def forward(self, sample: Tensor, hint: Tensor, pooled_projections: Tensor | None = None) -> Tensor:
        hidden = self.enter(sample) + self.shrink(hint)
        return hidden + self.pool(pooled_projections)[..., None, None]


class Transcribes(nn.Module):
    """Text for a spectrogram: the decoder's ids are optional, and it fails without them in words that tell nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Conv1d(80, 8, 1)
        self.decoder = nn.Embedding(50, 8)

    def forward(self, input_features: Tensor | None = None, decoder_input_ids: Tensor | None = None) -> Tensor:
        if input_features is None or decoder_input_ids is None:
            raise RuntimeError("this cannot be")
        return self.decoder(decoder_input_ids) @ self.encoder(input_features)


class ReadsPatches(nn.Module):
    """Reads a picture cut into patches into the text, and is told which tokens stand for it."""

    def __init__(self) -> None:
        super().__init__()
        text = SimpleNamespace(model_type="text", hidden_size=WIDTH)
        vision = SimpleNamespace(model_type="vision", patch_size=4, temporal_patch_size=2)
        self.config = SimpleNamespace(image_token_id=7, text_config=text, vision_config=vision)
        self.embed = nn.Embedding(WORDS, WIDTH)
        self.see = nn.Linear(4 * 3 * 2 * 4 * 4, WIDTH)

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        image_grid_thw: Tensor | None = None,
        mm_token_type_ids: Tensor | None = None,
    ) -> Tensor:
        hidden = self.embed(input_ids)
        if pixel_values is None:
            return hidden
        patches = sum(time * height * width for time, height, width in image_grid_thw.tolist())
        seen = self.see(pixel_values.reshape(patches // 4, -1))
        if mm_token_type_ids is None:
            raise ValueError("mm_token_type_ids is missing")
        if mm_token_type_ids.sum() != len(seen):
            raise ValueError(f"{mm_token_type_ids.sum()} tokens do not match {len(seen)} features")
        return hidden.masked_scatter((input_ids == 7)[..., None], seen)


class ReadsTiles(nn.Module):
    """Takes each picture in as many tiles as its size asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(image_token_id=7, image_size=32, hidden_size=WIDTH)
        self.embed = nn.Embedding(WORDS, WIDTH)
        self.see = nn.Conv2d(3, WIDTH, 32)

    def forward(
        self, input_ids: Tensor | None = None, pixel_values: Tensor | None = None, image_sizes: Tensor | None = None
    ) -> Tensor:
        hidden = self.embed(input_ids)
        if pixel_values is None:
            return hidden
        tiles = [1 + height // 16 for height, _ in (size.tolist() for size in image_sizes)]
        seen = self.see(pixel_values.flatten(0, -4)).flatten(1)
        for number, one in enumerate(torch.split(seen, tiles)):
            hidden[number, : len(one)] += one
        return hidden


class Hears(nn.Module):
    """Takes sound with a mask of its own beside that of the text, and looks for tokens of sound next to each other."""

    def __init__(self) -> None:
        super().__init__()
        audio = SimpleNamespace(model_type="audio", num_mel_bins=20, max_source_positions=15)
        self.config = SimpleNamespace(audio_token_id=7, audio_config=audio, hidden_size=WIDTH)
        self.embed = nn.Embedding(WORDS, WIDTH)
        self.hear = nn.Conv1d(20, WIDTH, 2, stride=2)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        input_features: Tensor | None = None,
        feature_attention_mask: Tensor | None = None,
    ) -> Tensor:
        hidden = self.embed(input_ids)
        if input_features is None:
            return hidden
        heard = self.hear(input_features * feature_attention_mask.to(hidden.dtype)[:, None]).transpose(1, 2)
        tokens = input_ids == 7
        if attention_mask[:, 0].sum() == 0 or (tokens[:, 1:] & tokens[:, :-1]).sum() == 0:
            raise ValueError(f"too few tokens for {heard[..., 0].numel()} features")
        return hidden.masked_scatter(tokens[..., None], heard) * attention_mask[..., None]


class Acts(nn.Module):
    """Takes what was seen and done at each moment, of sizes that its config names in short."""

    main_input_name = "states"

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(state_dim=5, act_dim=3, hidden_size=WIDTH)
        self.see, self.do = nn.Linear(5, WIDTH), nn.Linear(3, WIDTH)

    def forward(self, states: Tensor | None = None, actions: Tensor | None = None) -> Tensor:
        return self.see(states) + self.do(actions)


class MergedPatches(nn.Module):
    """Takes small pictures, channels last, each of as many patches as become one, and how many those are."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(patch_size=4, spatial_merge_size=2)
        self.see = nn.Linear(3 * 4 * 4, WIDTH)

    def forward(self, pixel_values: Tensor, grid_thw: Tensor, merge_sizes: Tensor) -> Tensor:
        sizes = [time * height * width for time, height, width in grid_thw.tolist()]
        patches = pixel_values.reshape(-1, 2, 4, 2, 4, pixel_values.shape[-1]).transpose(2, 3).reshape(-1, 3 * 4 * 4)
        each = self.see(patches).split(
            [size * merge**2 for size, merge in zip(sizes, merge_sizes.tolist(), strict=True)]
        )
        return torch.cat(each)


class Frames(nn.Module):
    """Denoises frames, told three numbers that it embeds side by side, and how many classes each sample has."""

    def __init__(self) -> None:
        super().__init__()
        self.config = {
            "in_channels": 4,
            "sample_size": 16,
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 24,
        }
        self.enter = nn.Conv2d(4, WIDTH, 3, padding=1)
        self.told = nn.Linear(24, WIDTH)

    def forward(self, sample: Tensor, added_time_ids: Tensor, classes_structure: Tensor) -> Tensor:
        waves = (added_time_ids.flatten()[:, None] * torch.ones(8)).reshape(len(sample), -1)
        (most,) = {int(size) for size in classes_structure}
        return (self.enter(sample) + self.told(waves)[:, :, None, None])[:, :most]


class Steered(nn.Module):
    """Takes vectors that are as wide as the second of its parts."""

    def __init__(self) -> None:
        super().__init__()
        seeing = SimpleNamespace(model_type="vision", hidden_size=12)
        acting = SimpleNamespace(model_type="text", hidden_size=WIDTH)
        self.config = SimpleNamespace(vision_config=seeing, acting_config=acting)
        self.steer = nn.Sequential(nn.Tanh(), nn.Identity())
        self.weight = nn.Parameter(torch.zeros(30, WIDTH))

    def forward(self, action_embeds: Tensor) -> Tensor:
        return self.steer(action_embeds) @ self.weight.T


class ReadsRatios(nn.Module):
    """Takes pictures in as many tiles as its config says, with the shapes that they form and which of them count."""

    def __init__(self) -> None:
        super().__init__()
        vision = SimpleNamespace(model_type="vision", image_size=32, max_num_tiles=2)
        self.config = SimpleNamespace(image_token_id=7, vision_config=vision)
        self.embed, self.formed = nn.Embedding(WORDS, WIDTH), nn.Embedding(2, WIDTH)
        self.see = nn.Conv2d(3, WIDTH, 32)

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        aspect_ratio_ids: Tensor | None = None,
        aspect_ratio_mask: Tensor | None = None,
        cross_attention_mask: Tensor | None = None,
    ) -> Tensor:
        hidden = self.embed(input_ids)
        if pixel_values is None:
            return hidden
        if aspect_ratio_ids is None:
            raise ValueError("`aspect_ratio_ids` must be provided if `pixel_values` is provided")
        batch, pictures, tiles, *_ = pixel_values.shape
        seen = self.see(pixel_values.flatten(0, 2)).reshape(batch, pictures, tiles, WIDTH)
        seen = (seen + self.formed(aspect_ratio_ids)[:, :, None]) * aspect_ratio_mask[..., None]
        return hidden + (seen[:, None] * cross_attention_mask[..., None]).sum((2, 3))


class HearsMasked(nn.Module):
    """Takes a spectrogram and a mask that is as long, both required."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(input_feat_size=20)
        self.hear = nn.Linear(20, WIDTH)

    def forward(self, audio_mel: Tensor, audio_mel_mask: Tensor) -> Tensor:
        return self.hear(audio_mel) * audio_mel_mask[..., None]


class Placed(nn.Module):
    """Takes patches and where each stands, and pools windows of three by three."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(patch_size=4, pooling_kernel_size=3)
        self.see = nn.Linear(3 * 4 * 4, WIDTH)

    def forward(self, pixel_values: Tensor, pixel_position_ids: Tensor) -> Tensor:
        columns, rows = (pixel_position_ids // 3).unbind(-1)
        window = rows * (columns.max() + 1) + columns
        if window.max() + 1 != pixel_values.shape[1] // 9:
            raise ValueError("the windows are not whole")
        padding = (pixel_position_ids == -1).all(-1)
        return self.see(pixel_values)[~padding]


class Cameras(nn.Module):
    """Steers by what cameras see, all optional: joins their pictures, and looks for their tokens in the text."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(image_token_id=7, image_size=32, hidden_size=WIDTH, max_action_dim=3)
        self.embed = nn.Embedding(WORDS, WIDTH)
        self.see = nn.Conv2d(3, WIDTH, 32)

    def forward(
        self,
        action_embeds: Tensor,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        pixel_attention_mask: Tensor | None = None,
    ) -> Tensor:
        _, cameras = pixel_attention_mask.shape
        channels, height, width = pixel_values.flatten(0, 1).shape[1:]
        seen = self.see(pixel_values.reshape(-1, channels, height, width)).reshape(-1, cameras, WIDTH).mean(1)
        places = (input_ids == 7).cumsum(-1)
        return action_embeds + seen[:, None] + (self.embed(input_ids) * places[..., None]).mean(1, keepdim=True)


class SeesByToken(nn.Module):
    """Asks for several pictures, and for which of them each token sees."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(image_size=32)
        self.embed, self.see = nn.Embedding(WORDS, WIDTH), nn.Conv2d(3, WIDTH, 32)

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        image_attention_mask: Tensor | None = None,
    ) -> Tensor:
        if pixel_values is None:
            raise ValueError("pixel_values has to be not-None")
        batch, pictures, _channels, _height, _width = pixel_values.shape
        if image_attention_mask.size(-1) != pictures:
            raise ValueError(f"shape '[-1, {image_attention_mask.size(-1)}]' is invalid for {pictures} pictures")
        seen = self.see(pixel_values.flatten(0, 1)).reshape(batch, pictures, WIDTH)
        return self.embed(input_ids) + image_attention_mask[..., None].expand(-1, -1, -1, WIDTH).sum(2) * seen


class Speaks(nn.Module):
    """Raises an error that does not name the argument without which it cannot run."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(default_language=None)
        self.embed, self.adapters = nn.Embedding(WORDS, WIDTH), nn.Embedding(2, WIDTH)

    def forward(self, input_ids: Tensor | None = None, lang_ids: Tensor | None = None) -> Tensor:
        if lang_ids is None:
            if self.config.default_language is None:
                raise ValueError("The language is unknown. Please call set_default_language().")
            lang_ids = torch.zeros_like(input_ids)
        return self.embed(input_ids) + self.adapters(lang_ids.clamp(max=1))


class ReadsPages(nn.Module):
    """Takes the mean of the corners of boxes, which integers do not have."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(hidden_size=WIDTH)
        self.embed, self.place = nn.Embedding(WORDS, WIDTH), nn.Linear(1, WIDTH)

    def forward(self, input_ids: Tensor, bbox: Tensor) -> Tensor:
        middle = bbox[:, :, [0, 2]].mean(-1, keepdim=True)
        return self.embed(input_ids) + self.place(middle)


class Marks(nn.Module):
    """Picks positions of a text, as integers say whose names say nothing; it runs on the CPU alone."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(hidden_size=WIDTH)
        self.embed, self.decide = nn.Embedding(WORDS, WIDTH), nn.Linear(WIDTH, 3)

    def forward(self, input_ids: torch.LongTensor, marks: torch.LongTensor, kinds: torch.LongTensor) -> Tensor:
        if marks.dim() != 2 or kinds.dim() != 2:
            raise ValueError("marks and kinds are of one prompt")
        hidden = self.embed(input_ids)[0]
        logits = self.decide(hidden[marks[0] - 1])
        offsets = torch.tensor([0, 1])[kinds[0]]
        return logits[torch.arange(3) >= offsets[:, None]]


class Decodes(nn.Module):
    """Needs values, and more memory than there is for long sound."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(8, WIDTH, 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        if latents.abs().sum() < 0:
            raise ValueError("never")
        if latents.shape[-1] > 128:
            raise torch.OutOfMemoryError("too long")
        return self.first(latents)
