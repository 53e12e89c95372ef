"""What says how colours are to be shown, other than an ICC profile, and its conversion into one.

PNG files say it by gamma and chromaticities (gAMA, cHRM), PNG and AVIF by code points (cICP, nclx; ITU-T
H.273).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_D65 = (0.3127, 0.3290)
_BT709 = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
# Chromaticities of red, green, blue and white by H.273's code for primaries.
_PRIMARIES = {
    1: (*_BT709, _D65),
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), (0.310, 0.316)),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
}
# Exponents by H.273's code for the transfer; None for sRGB's, which is what pictures are shown by that are
# marked as video of BT.709, BT.601 or BT.2020.
_TRANSFERS: dict[int, float | None] = {1: None, 4: 2.2, 5: 2.8, 6: None, 8: 1.0, 13: None, 14: None, 15: None}
_UNSPECIFIED = 2
_TRANSFER_NAMES = {16: "PQ", 18: "HLG"}
_SRGB_GAMMA = 45_455

# ICC.1, section 6.3.4.3 and annex E: everything is seen under D50, adapted by Bradford's matrix.
_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_CURVE_POINTS = 1024


@dataclass(frozen=True)
class ColourDescription:
    """How colours are to be shown, in the file's own words."""

    code_points: tuple[int, int] | None = None
    """Primaries and transfer by H.273; they count more than what follows."""

    gamma: int | None = None
    """gAMA: the exponent of encoding times 100,000."""

    chromaticities: tuple[int, ...] | None = None
    """cHRM: x and y of white, red, green and blue, times 100,000."""

    @property
    def usual(self) -> bool:
        """Whether the colours are sRGB, which is what is assumed where nothing is said."""
        if self.code_points is not None:
            primaries, transfer = self.code_points
            curve = None if transfer == _UNSPECIFIED else _TRANSFERS.get(transfer, 0.0)
            return primaries in (1, _UNSPECIFIED) and curve is None
        if self.chromaticities is not None and not np.allclose(self._places(), _PRIMARIES[1], atol=2e-3):
            return False
        return self._exponent() is None

    @property
    def name(self) -> str:
        """What to call it in a message."""
        if self.code_points is None:
            return "gamma and chromaticities (gAMA, cHRM)"
        primaries, transfer = self.code_points
        return f"{_TRANSFER_NAMES.get(transfer, f'transfer {transfer}')} with primaries {primaries} (H.273)"

    def to_profile(self, *, grey: bool) -> bytes | None:
        """Return an ICC profile that says the same; None where none can, as of PQ and HLG.

        Args:
            grey: Whether the picture is.
        """
        if self.code_points is not None:
            primaries, transfer = self.code_points
            if transfer == _UNSPECIFIED:
                transfer = 13
            if transfer not in _TRANSFERS or primaries not in (*_PRIMARIES, _UNSPECIFIED):
                return None
        return _profile(np.array(self._places()), self._exponent(), grey=grey)

    def _places(self) -> tuple[tuple[float, ...], ...]:
        """Chromaticities of red, green, blue and white."""
        if self.code_points is not None:
            return _PRIMARIES.get(self.code_points[0], _PRIMARIES[1])
        if self.chromaticities is None:
            return _PRIMARIES[1]
        white, *colours = zip(*[iter(value / 100_000 for value in self.chromaticities)] * 2, strict=True)
        return (*colours, white)

    def _exponent(self) -> float | None:
        """Of decoding; None for sRGB's curve."""
        if self.code_points is not None:
            return _TRANSFERS.get(self.code_points[1])
        if self.gamma is None or abs(self.gamma - _SRGB_GAMMA) < 100:
            return None
        return 100_000 / self.gamma


def _profile(places: NDArray[np.float64], exponent: float | None, *, grey: bool) -> bytes | None:
    """Write a display profile of a matrix and a curve (ICC.1:2001-04, sections 6.3.1.1 and 6.3.2)."""
    if not (places[:, 1] > 0).all():
        return None
    xyz = np.stack([places[:, 0] / places[:, 1], np.ones(4), (1 - places.sum(axis=1)) / places[:, 1]])
    white = xyz[:, 3]
    try:
        colours = xyz[:, :3] * np.linalg.solve(xyz[:, :3], white)
        cones = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white))
        adapted = np.linalg.solve(_BRADFORD, cones @ _BRADFORD @ colours)
    except np.linalg.LinAlgError:
        return None
    if not np.isfinite(adapted).all() or np.abs(adapted).max() > 100:
        return None
    curve = _curve(exponent)
    tags = {b"desc": _description(), b"cprt": b"text\0\0\0\0No copyright\0", b"wtpt": _xyz(_D50)}
    if grey:
        tags[b"kTRC"] = curve
    else:
        for name, column in zip((b"r", b"g", b"b"), adapted.T, strict=True):
            tags[name + b"XYZ"] = _xyz(column)
            tags[name + b"TRC"] = curve
    table, data, at = b"", b"", 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        table += struct.pack(">4sII", name, at + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    size = at + len(data)
    space = b"GRAY" if grey else b"RGB "
    header = struct.pack(">I4sI4s4s4s", size, b"\0\0\0\0", 0x02400000, b"mntr", space, b"XYZ ")
    header += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp") + bytes(28)
    return header + _xyz(_D50)[8:] + bytes(48) + struct.pack(">I", len(tags)) + table + data


def _curve(exponent: float | None) -> bytes:
    if exponent is not None:
        return b"curv\0\0\0\0" + struct.pack(">IH", 1, min(round(exponent * 256), 65535))
    encoded = np.linspace(0, 1, _CURVE_POINTS)
    light = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return (
        b"curv\0\0\0\0" + struct.pack(">I", _CURVE_POINTS) + np.round(light * 65535).astype(">u2").tobytes()
    )


def _description() -> bytes:
    text = b"Colours as the source described them\0"
    return b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78)


def _xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(float(value) * 65536) for value in values))
