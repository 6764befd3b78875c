"""What a machine can do, measured once and kept beside the answers."""

from __future__ import annotations

from hashlib import sha1
from pathlib import Path

import msgspec

from alexnet_cli.cache import folder as store
from alexnet_cli.report_json import torch_version
from alexnet_cli.session.kept import Listener
from alexnet_cli.timing import Bandwidth, Calibration


def calibration(device: str, listener: Listener, *, anew: bool) -> Calibration | None:
    """Return what a device of this machine can do: measured now as well if `anew`, else as kept; None if it never was.

    Raises:
        DeviceError: the device is not there.
    """
    import torch  # a run on the device has imported it

    from alexnet_cli.tracing.calibrate import calibrate
    from alexnet_cli.tracing.devices import device_name, require_device

    where = require_device(device)
    parts = ("calibration 1", device_name(where), str(torch.get_num_threads()), str(torch_version()))
    folder, key = store.cache_folder(), sha1("\0".join(parts).encode(), usedforsecurity=False).hexdigest()
    before = _kept(folder, key)
    if not anew:
        return before
    doing = ""
    with listener.progress("measuring this machine", lambda: doing):

        def tell(text: str) -> None:
            nonlocal doing
            doing = text

        found = better(calibrate(where, tell), before)
    if folder is not None:
        store.write(folder, key, msgspec.json.encode(found))
    return found


def _kept(folder: Path | None, key: str) -> Calibration | None:
    data = None if folder is None else store.read(folder, key)
    try:
        return None if data is None else msgspec.json.decode(data, type=Calibration)
    except msgspec.MsgspecError:
        return None


def better(now: Calibration, before: Calibration | None) -> Calibration:
    """Return the best of two measurements: what a machine reached once, it can do."""
    if before is None:
        return now
    peaks = {dtype: max(peak, before.flops_per_s.get(dtype, 0.0)) for dtype, peak in now.flops_per_s.items()}
    earlier = {each.footprint: each.bytes_per_s for each in before.bandwidths}
    bandwidths = [
        Bandwidth(each.footprint, max(each.bytes_per_s, earlier.get(each.footprint, 0.0))) for each in now.bandwidths
    ]
    return Calibration(now.device_name, now.threads, peaks, tuple(bandwidths))
