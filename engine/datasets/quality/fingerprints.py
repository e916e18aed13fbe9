"""Duplicates: the same picture twice, or one that looks the same.

A fingerprint is short text that stands for an image:

* a hash of its decoded pixels, which finds exact copies whatever the file's format;
* its *look*: the lowest frequencies of a small grey copy, as in a perceptual hash, but kept as
  numbers instead of bits so that they can be compared exactly. It survives re-encoding, resizing,
  slight changes of brightness, and, compared in all eight ways, mirroring and quarter turns.

Two looks are the same when they correlate, and still do after what all images of the dataset
have in common (the frame of an endoscope, the light of a fixed camera) was taken away.

Finding duplicates among n images takes about n·log n: looks are hashed to bits by random
directions, and only those that agree in all bits of one of many bands are compared.
"""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

MIN_CORRELATION = 0.975
"""Of two looks. Real copies, whatever was done to them, reach 0.98; neighbouring slices of an
electron microscope 0.78."""
MIN_MOVED_CORRELATION = 0.985
"""Of two looks of which one was mirrored or turned: seven more ways to be alike by chance."""
MIN_OWN_CORRELATION = 0.9
"""The same after what all images have in common was taken away."""
STRICTER_CORRELATIONS = (0.985, 0.99, 0.995)
MAX_CLUSTER_SHARE = 0.8
"""A larger share of the images in one cluster is a sequence rather than copies: they are compared
more strictly, until only exact copies remain, so that they can be divided at all."""

_HASH_DIGITS = 32
_ASPECT_DIGITS = 2
_GREY_PX = 32
"""Side of the small grey copy."""
_NUM_FREQUENCIES = 12
"""In each direction."""
_MIN_CONTRAST = 0.3
"""Standard deviation of the grey copy, of 255, below which it shows nothing to compare."""
_ASPECT_STEPS = 16
"""Steps by which the ratio of width and height is told, per doubling: 4 %."""
_NUM_COMMON = 10
"""With so many images, half of their mean look is taken as what they have in common."""
_NUM_BANDS = 20
_MAX_PER_BUCKET = 8
"""Images of one bucket that each of its images is compared with. The copies of one image all
meet in these, so long chains of near copies do not take quadratic time."""
_LOOKS_AT_ONCE = 10_000
_PAIRS_AT_ONCE = 20_000
"""Bounds of memory, and of what fits into the caches."""

Pixels = NDArray[np.uint8]
_Looks = NDArray[np.float32]


def fingerprint(pixels: Pixels, grey: Image.Image) -> str:
    """The fingerprint of an image, as hexadecimal digits.

    Args:
        pixels: shape (H, W) or (H, W, 3).
        grey: the same in mode L.
    """
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    steps = round(_ASPECT_STEPS * np.log2(grey.width / grey.height))
    aspect = np.int8(np.clip(steps, -127, 127))
    return digest.hexdigest()[:_HASH_DIGITS] + aspect.tobytes().hex() + _look(grey).tobytes().hex()


def pixel_hash(fingerprint: str) -> str:
    """The part of a fingerprint that only exact copies share."""
    return fingerprint[:_HASH_DIGITS]


def find_twins(fingerprints: Sequence[str]) -> list[list[int]]:
    """Clusters of positions that are exact or near duplicates; ascending, two or more each.

    A duplicate of a duplicate belongs to the cluster, too; see `MAX_CLUSTER_SHARE`.
    """
    num = len(fingerprints)
    first_of: dict[str, int] = {}
    copies = [
        (first_of.setdefault(pixel_hash(each), position), position)
        for position, each in enumerate(fingerprints)
    ]
    different = np.array([p for p in first_of.values() if _has_look(fingerprints[p])], np.int64)
    pairs, correlations = _same_looks(*_parse([fingerprints[p] for p in different.tolist()]))
    clusters: list[list[int]] = []
    for limit in (0, *STRICTER_CORRELATIONS, np.inf):
        near = different[pairs[correlations >= limit]]
        clusters = _clusters(num, np.concatenate([np.array(copies).reshape(-1, 2), near]))
        if max(map(len, clusters), default=0) <= MAX_CLUSTER_SHARE * num:
            break
    return [cluster for cluster in clusters if len(cluster) > 1]


def likeness(fingerprints: Sequence[str], step: int) -> float:
    """Median correlation of the looks of images that are `step` places apart; 0 for none.

    What all images have in common was taken away.
    """
    with_look = [each for each in fingerprints if _has_look(each)]
    if len(with_look) <= step:
        return 0.0
    looks = _parse(with_look)[0]
    own = _unit(looks - _common(looks))
    return float(np.median((own[:-step] * own[step:]).sum(axis=1)))


def _has_look(fingerprint: str) -> bool:
    return len(fingerprint) > _HASH_DIGITS + _ASPECT_DIGITS


def _clusters(num: int, links: NDArray[np.int64]) -> list[list[int]]:
    """The numbers 0…num-1 by what the links, shape (L, 2), connect."""
    graph = coo_array((np.ones(len(links)), (links[:, 0], links[:, 1])), shape=(num, num))
    clusters: dict[int, list[int]] = {}
    for position, label in enumerate(connected_components(graph, directed=False)[1].tolist()):
        clusters.setdefault(label, []).append(position)
    return list(clusters.values())


def _look(grey: Image.Image) -> NDArray[np.int8]:
    """Weighted frequencies, without the mean; empty for an image that shows nothing."""
    # Unlike BOX it treats both ends alike, so that a mirrored picture has a mirrored look.
    small = grey.convert("F").resize((_GREY_PX, _GREY_PX), Image.Resampling.BILINEAR)
    pixels = np.asarray(small, dtype=np.float32)
    if pixels.std() < _MIN_CONTRAST:
        return np.zeros(0, np.int8)
    frequencies = (_COSINES @ pixels @ _COSINES.T * _WEIGHTS).ravel()[1:]
    look: NDArray[np.int8] = np.round(127 * frequencies / np.abs(frequencies).max()).astype(np.int8)
    return look


def _cosines() -> NDArray[np.float32]:
    """The first cosines of the discrete cosine transform, shape (frequency, pixel)."""
    frequency, pixel = np.mgrid[:_NUM_FREQUENCIES, :_GREY_PX]
    cosines: NDArray[np.float32] = np.cos(np.pi / _GREY_PX * (pixel + 0.5) * frequency)
    return cosines.astype(np.float32)


def _weights() -> NDArray[np.float32]:
    # Pictures hold 1/f of frequency f; weighted by f, fine structure counts as much as shading.
    y, x = np.mgrid[:_NUM_FREQUENCIES, :_NUM_FREQUENCIES]
    # The transform's first row and column have another norm than the rest.
    norm = np.where(y == 0, np.sqrt(0.5), 1) * np.where(x == 0, np.sqrt(0.5), 1)
    weights: NDArray[np.float32] = (np.hypot(y, x) * norm).astype(np.float32)
    return weights


_COSINES = _cosines()
_WEIGHTS = _weights()


def _parse(fingerprints: Sequence[str]) -> tuple[_Looks, NDArray[np.int8]]:
    """Looks of unit length, shape (N, F), and aspects, shape (N,)."""
    data = bytes.fromhex("".join(each[_HASH_DIGITS:] for each in fingerprints))
    numbers = np.frombuffer(data, np.int8).reshape(len(fingerprints), _NUM_FREQUENCIES**2)
    return _unit(numbers[:, 1:].astype(np.float32)), numbers[:, 0]


def _common(looks: _Looks) -> _Looks:
    """What all looks have in common, the less the fewer there are."""
    common: _Looks = looks.sum(axis=0) / np.float32(len(looks) + _NUM_COMMON)
    return common


def _same_looks(
    looks: _Looks, aspects: NDArray[np.int8]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Pairs that look the same, shape (P, 2), with correlations; enough to connect clusters."""
    found_pairs = [np.zeros((0, 2), np.int64)]
    found_correlations = [np.zeros(0, np.float32)]
    if len(looks) > 1:
        common = _common(looks)
        own = _unit(looks - common)
        directions = _directions(*looks.shape)
        table = _Table(_keys(own, directions))
        limit, wide = MIN_CORRELATION, aspects.astype(np.int16)
        for is_turned, moved in _in_all_ways(looks):
            moved_own = _unit(moved - common)
            moved_wide = -wide if is_turned else wide
            for pairs in table.candidates(_keys(moved_own, directions)):
                one, other = pairs.T
                correlations = (looks[one] * moved[other]).sum(axis=1)
                same = np.flatnonzero(
                    (correlations >= limit) & (np.abs(wide[one] - moved_wide[other]) <= 1)
                )
                own_correlations = (own[one[same]] * moved_own[other[same]]).sum(axis=1)
                same = same[own_correlations >= MIN_OWN_CORRELATION]
                found_pairs.append(pairs[same])
                found_correlations.append(correlations[same])
            limit = MIN_MOVED_CORRELATION
    return np.concatenate(found_pairs), np.concatenate(found_correlations)


def _in_all_ways(looks: _Looks) -> Iterator[tuple[bool, _Looks]]:
    """The looks as they are, mirrored and turned: whether by a quarter turn, and the looks."""
    num = len(looks)
    square = np.zeros((num, _NUM_FREQUENCIES**2), np.float32)
    square[:, 1:] = looks
    upright = square.reshape(num, _NUM_FREQUENCIES, _NUM_FREQUENCIES)
    # To mirror a picture changes the sign of its odd frequencies.
    signs = np.where(np.arange(_NUM_FREQUENCIES) % 2, -1, 1).astype(np.float32)
    for is_turned, each in ((False, upright), (True, upright.transpose(0, 2, 1))):
        for signs_y in (np.ones_like(signs), signs):
            for signs_x in (np.ones_like(signs), signs):
                moved = each * signs_y[:, np.newaxis] * signs_x
                yield is_turned, moved.reshape(num, -1)[:, 1:]


def _directions(num: int, num_numbers: int) -> NDArray[np.float32]:
    """Random directions, shape (F, band, bit); the same for the same number of images."""
    # Eight times as many buckets as images: few meet in one by chance.
    num_bits = int(np.ceil(np.log2(num))) + 3
    generator = np.random.Generator(np.random.PCG64(0))
    return generator.standard_normal((num_numbers, _NUM_BANDS, num_bits), dtype=np.float32)


def _keys(looks: _Looks, directions: NDArray[np.float32]) -> NDArray[np.int64]:
    """The bucket of each look in each band, shape (band, N): its side of every direction."""
    num_bits = directions.shape[2]
    found = np.empty((directions.shape[1], len(looks)), np.int64)
    for start in range(0, len(looks), _LOOKS_AT_ONCE):
        some = looks[start : start + _LOOKS_AT_ONCE]
        bits = some @ directions.reshape(len(directions), -1) > 0
        keys = bits.reshape(len(some), -1, num_bits) @ (1 << np.arange(num_bits))
        found[:, start : start + len(some)] = keys.T
    return found


class _Table:
    """Finds who shares a bucket. Takes the keys of everyone, shape (band, N)."""

    def __init__(self, keys: NDArray[np.int64]) -> None:
        self._orders = np.argsort(keys, axis=1, kind="stable")
        self._in_order = np.take_along_axis(keys, self._orders, axis=1)

    def candidates(self, keys: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Portions of pairs, shape (P, 2), of someone and who shares a bucket by other keys."""
        num = keys.shape[1]
        found = []
        for in_order, order, wanted in zip(self._in_order, self._orders, keys, strict=True):
            place = np.searchsorted(in_order, wanted)
            who = np.arange(num)
            for _ in range(_MAX_PER_BUCKET):
                here = place < num
                place, who = place[here], who[here]
                here = in_order[place] == wanted[who]
                place, who = place[here], who[here]
                other = order[place]
                found.append((other * num + who)[other != who])
                place = place + 1
        codes = np.unique(np.concatenate(found))
        for start in range(0, len(codes), _PAIRS_AT_ONCE):
            some = codes[start : start + _PAIRS_AT_ONCE]
            yield np.stack([some // num, some % num], axis=1)


def _unit(vectors: _Looks) -> _Looks:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: _Looks = vectors / np.maximum(norms, np.float32(1e-6))
    return unit
