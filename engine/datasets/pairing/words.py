"""The words by which names of files and folders tell images from masks.

A name is read as *tokens*: lower-case words and whole numbers, so that 1 and 10 are never confused.
`trainMasks_01` is `("train", "masks", "01")`.
"""

import re
import unicodedata
from enum import IntEnum
from functools import lru_cache
from typing import Literal, NamedTuple

from engine.store.datasets import SplitName


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _with_plurals(text: str) -> frozenset[str]:
    return frozenset(word + ending for word in text.split() for ending in ("", "s"))


IMAGE_WORDS = _with_plurals(
    "image img im input raw photo picture pic original orig scan slide frame rgb "
    # German, French, Spanish, Portuguese, Italian; accents do not matter.
    "bild originalbild imagen"
) | _words(
    "bilder bildern imagenes imagem imagens immagine immagini jpegimages jpegimage "
    "原图 图像 图片 影像 原始 画像 이미지 изображения"
)
TRUTH_WORDS = _with_plurals(
    "label lbl gt groundtruth truth annot annotation anno target manual ho "
    "annotator rater grader expert observer "
    "etiquette etiqueta rotulo"
) | _words(
    "annotationen beschriftung beschriftungen grundwahrheit verite anotacion anotaciones "
    "verdad etichetta etichette 标签 标注 真值 金标准 ラベル 라벨 метки"
)
"""Marks of what a person drew."""
SHAPE_WORDS = _with_plurals("mask msk matte trimap maske masque mascara maschera") | _words(
    "masken maschere 掩码 掩膜 掩模 蒙版 マスク 마스크 маски"
)
"""Marks of a mask, of whatever kind."""
SEGMENTATION_WORDS = _with_plurals("seg segm segmentation") | _words(
    "segmentierung segmentierungen segmentacion segmentaciones 分割"
)
PREDICTION_WORDS = _with_plurals("pred prediction predicted")
RESULT_WORDS = PREDICTION_WORDS | _with_plurals("result output")
FOV_WORDS = _words("fov fovs roi rois fieldofview")
PREVIEW_WORDS = _with_plurals("overlay preview vis viz visualization visualisation blend thumbnail")
INVERSE_WORDS = _words("inv inverse inverted")
SUPERPIXEL_WORDS = _with_plurals("superpixel")
MASK_WORDS = (
    TRUTH_WORDS
    | SHAPE_WORDS
    | SEGMENTATION_WORDS
    | RESULT_WORDS
    | FOV_WORDS
    | PREVIEW_WORDS
    | INVERSE_WORDS
    | SUPERPIXEL_WORDS
)
"""Any of these marks a picture as made from an image."""

COLOR_WORDS = _with_plurals("color colour rgb")
INSTANCE_WORDS = _with_plurals("instance object inst")
OUTLINE_WORDS = _words(
    "edge edges boundary boundaries border borders contour contours outline outlines skeleton "
    "distance distances weight weights heatmap heatmaps"
)
RATER_WORDS = _with_plurals(
    "manual ho gt truth groundtruth annotation annotator rater grader expert observer reader"
)
"""A number beside one of these names a person, not one of many instances."""
MODIFIERS = (
    COLOR_WORDS
    | INSTANCE_WORDS
    | RATER_WORDS
    | _with_plurals("class id map idx index")
    | _words("classes binary bin bw gray grey fine coarse jpeg jpg png tif")
)
"""What stands beside a mark without telling one sample from another."""

MODALITY_WORDS = _words(
    "t1 t1c t1ce t1gd t1n t1w t2 t2f t2w flair ct mr mri pet dwi adc swi us dapi brightfield nir"
)
"""Names of what a picture was taken with; told in file names only, and only for a guess."""
TARGET_WORDS = _with_plurals(
    "lesion tumor tumour polyp nodule cell vessel organ liver kidney spleen lung heart crack "
    "defect road building cloud ulcer wound stroke"
) | _words("nucleus nuclei")
"""Names of what is often marked; they make a guess likelier, and no mask."""

# As a whole folder name these mean something; within a name they are too ordinary to.
_IMAGE_FOLDERS = frozenset({"data", "x", "source", "sources", "src"})

_SPLITS: dict[SplitName, str] = {
    "train": "train training trn entrainement entrenamiento 训练集 训练",
    "val": "val valid validation dev validierung validacion 验证集 验证",
    "test": "test testing tst prueba 测试集 测试",
}
SPLIT_WORDS = {word: split for split, words in _SPLITS.items() for word in words.split()}
# Only glued to another word, as in `imagesTr`.
_SHORT_SPLIT_WORDS: dict[str, SplitName] = {"tr": "train", "va": "val", "ts": "test", "te": "test"}


Role = Literal["image", "mask"]


class Token(NamedTuple):
    """A word or number of a name, and where it stands."""

    text: str
    start: int
    end: int


_RUN = re.compile(r"[^\W_]+|[^\w\x00-\x7f]")
_PIECE = re.compile(r"\d+(?:st|nd|rd|th)(?![a-z])|\d+|[^\W\d_]+")
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th)")
_CAMEL = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")
_MAX_PIECES = 5
"""A run of letters and digits that changes between them more often is a hash: one token."""

_ROLE_WORDS = IMAGE_WORDS | MASK_WORDS
_KNOWN = _ROLE_WORDS | MODIFIERS | set(SPLIT_WORDS)
_SPLIT_FIRST = re.compile(rf"({'|'.join(sorted(SPLIT_WORDS, key=len, reverse=True))})(.+)")
_ROLE_LAST = re.compile(
    r"(.{3,}?)(imgs?|images?|masks?|labels?|annots?|annotations?|bilder|masken)"
)
_FOREIGN_WORD = re.compile(
    "("
    + "|".join(
        sorted(
            (word for word in _ROLE_WORDS | set(SPLIT_WORDS) if not word.isascii()),
            key=len,
            reverse=True,
        )
    )
    + ")"
)
_PHRASES = {("ground", "truth"): "groundtruth", ("ground", "truths"): "groundtruth"}


def tokens_of(name: str) -> tuple[str, ...]:
    """The words and numbers of a name, in order."""
    found: list[str] = []
    for run in _RUN.findall(name):
        found += _pieces(run)[0]
    if "ground" in found:
        return tuple(token.text for token in tokens_in(name))
    return tuple(found)


def tokens_in(name: str) -> list[Token]:
    """The words and numbers of a name, and where they stand."""
    found: list[Token] = []
    for run in _RUN.finditer(name):
        start = run.start()
        for text, (begin, end) in zip(*_pieces(run[0]), strict=True):
            if found and (found[-1].text, text) in _PHRASES:
                before = found.pop()
                found.append(Token(_PHRASES[before.text, text], before.start, start + end))
            else:
                found.append(Token(text, start + begin, start + end))
    return found


_Pieces = tuple[tuple[str, ...], tuple[tuple[int, int], ...]]


@lru_cache(maxsize=10_000)
def _pieces(run: str) -> _Pieces:
    """Words and numbers of a run without separators, and where they begin and end."""
    pieces = list(_PIECE.finditer(run))
    if len(pieces) > _MAX_PIECES or not pieces:
        return (run.casefold(),), ((0, len(run)),)
    texts, places = [], []
    for piece in pieces:
        place = piece.start()
        for word in _split_word(piece[0]) if piece[0][0].isalpha() else (piece[0],):
            texts.append(plain(word))
            places.append((place, place + len(word)))
            place += len(word)
    return tuple(texts), tuple(places)


@lru_cache(maxsize=10_000)
def _split_word(word: str) -> tuple[str, ...]:
    """`trainMasks`, `trainmasks` and `训练图像` as two words each."""
    if not word.isascii():
        return tuple(part for part in _FOREIGN_WORD.split(word) if part)
    found: list[str] = []
    for part in _CAMEL.findall(word):
        text = part.lower()
        split_first, role_last = _SPLIT_FIRST.fullmatch(text), _ROLE_LAST.fullmatch(text)
        if text in _ROLE_WORDS or text in SPLIT_WORDS:
            found.append(part)
        elif split_first and split_first[2] in _ROLE_WORDS:
            found += [part[: split_first.end(1)], part[split_first.end(1) :]]
        elif role_last:
            found += [part[: role_last.end(1)], part[role_last.end(1) :]]
        else:
            found.append(part)
    return tuple(found)


def plain(word: str) -> str:
    """In lower case, and without accents where that makes it a word that means something."""
    text = word.casefold()
    if text.isascii():
        return text
    bare = "".join(
        char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char)
    )
    if bare in _ROLE_WORDS or bare in SPLIT_WORDS:
        return bare
    return unicodedata.normalize("NFC", text)


def role_of_folder(words: tuple[str, ...]) -> Role | None:
    """What a folder's name says of the pictures in it."""
    whole = "".join(words)
    if not MASK_WORDS.isdisjoint(words):
        return "mask"
    if whole in _IMAGE_FOLDERS or not IMAGE_WORDS.isdisjoint(words):
        return "image"
    return None


class Call(IntEnum):
    """What a name says for a guess; what is likelier an image first."""

    IMAGE = 0
    MODALITY = 1
    ANYTHING = 2
    TARGET = 3


def call_of(words: tuple[str, ...]) -> Call:
    """What a name says of images, and of what may be marked in them."""
    if role_of_folder(words) == "image":
        return Call.IMAGE
    if is_modality(words):
        return Call.MODALITY
    return Call.ANYTHING if TARGET_WORDS.isdisjoint(words) else Call.TARGET


def is_modality(words: tuple[str, ...]) -> bool:
    """Whether a name is that of a kind of image, such as `t1` or `flair`."""
    return "".join(words) in MODALITY_WORDS


def is_only_image_words(words: tuple[str, ...]) -> bool:
    """Whether a folder is called “images” and nothing else, its split aside."""
    return all(word in IMAGE_WORDS or word in SPLIT_WORDS or word == "jpeg" for word in words)


def split_of_folder(words: tuple[str, ...]) -> SplitName | None:
    """The split that a folder's name says; `train_val` is both, so neither."""
    said = {_split_of(word, words) for word in words} - {None}
    return said.pop() if len(said) == 1 else None


def is_split(word: str, words: tuple[str, ...]) -> bool:
    """Whether a word of a folder's name says a split."""
    return _split_of(word, words) is not None


def _split_of(word: str, words: tuple[str, ...]) -> SplitName | None:
    if word in SPLIT_WORDS:
        return SPLIT_WORDS[word]
    if word in _SHORT_SPLIT_WORDS and not _ROLE_WORDS.isdisjoint(words):
        return _SHORT_SPLIT_WORDS[word]
    return None


def is_known(token: str) -> bool:
    """Whether a token is a word that says something about a picture, and nothing about a sample."""
    return token in _KNOWN or _ORDINAL.fullmatch(token) is not None


def is_number(token: str) -> bool:
    """Whether a token is digits only; `1st` is a word."""
    return token.isdecimal()
