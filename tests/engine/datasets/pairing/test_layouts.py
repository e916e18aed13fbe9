"""Real data sets, by the names that their files have."""

from dataclasses import dataclass, field

import pytest

from engine.datasets.pairing import by_patterns, natural_key, propose, suggest_patterns

Split = str | None


@dataclass(frozen=True)
class Layout:
    """The names of a data set, and what is to be read in them."""

    names: list[str]
    pairs: dict[str, tuple[str, ...]]
    """Masks of each image in the likeliest proposal."""
    num_sets: int = 1
    splits: dict[str, Split] = field(default_factory=dict)
    """Of images, where any."""
    num_unmatched: int = 0
    unsaid: bool = False
    """Whether no pattern says it."""


def zipped(images: list[str], masks: list[str]) -> dict[str, tuple[str, ...]]:
    return {image: (mask,) for image, mask in zip(images, masks, strict=True)}


def layout(
    images: list[str],
    masks: list[str],
    *more: str,
    num_sets: int = 1,
    splits: dict[str, Split] | None = None,
    num_unmatched: int = 0,
    unsaid: bool = False,
) -> Layout:
    """A data set whose images and masks are in the same order."""
    return Layout(
        [*images, *masks, *more],
        zipped(images, masks),
        num_sets,
        splits or {},
        num_unmatched,
        unsaid,
    )


def parallel(images: str, masks: str, *others: str, stems: list[str] | None = None) -> Layout:
    """`{}` stands for the stem; others are further sets of masks."""
    stems = stems or [str(number) for number in (0, 1, 2, 9, 10, 11, 100)]
    return layout(
        [images.format(stem) for stem in stems],
        [masks.format(stem) for stem in stems],
        *(other.format(stem) for other in others for stem in stems),
        num_sets=1 + len(others),
    )


def isbi2012() -> Layout:
    return parallel(
        "membrane/train/image/{}.png",
        "membrane/train/label/{}.png",
        stems=list(map(str, range(30))),
    )


def nuclei() -> Layout:
    ids = [f"{n * 7919:08x}af{n:03}b9c1d7e2" for n in range(15)]
    pairs = {}
    for place, one in enumerate(ids):
        objects = [f"{n * 104729 + place:09x}c{n}de{place}f0a1b" for n in range(1 + 25 * place)]
        pairs[f"stage1_train/{one}/images/{one}.png"] = tuple(
            f"stage1_train/{one}/masks/{each}.png" for each in sorted(objects, key=natural_key)
        )
    return Layout([name for image, masks in pairs.items() for name in (image, *masks)], pairs)


def magnetic_tile() -> Layout:
    stems = [
        f"MT_{kind}/Imgs/exp{exp}_num_{number}"
        for kind in ("Blowhole", "Break", "Crack", "Fray", "Free", "Uneven")
        for exp in (1, 2)
        for number in (3667, 108719, 297464)
    ]
    return parallel("{}.jpg", "{}.png", stems=stems)


def rock4() -> Layout:
    root = "VOCdevkit/VOC2007"
    stems = [f"{n:06}" for n in range(1, 30)]
    found = parallel(root + "/JPEGImages/{}.jpg", root + "/SegmentationClass/{}.png", stems=stems)
    lists = [f"{root}/ImageSets/Segmentation/{s}.txt" for s in ("train", "val", "test")]
    return Layout([*found.names, *lists], found.pairs)


AXON = [("1", "data1"), ("2", "data5"), ("3", "data9"), ("3", "data10"), ("3", "data11"),
        ("7", "Maxo03img60"), ("8", "V915")]  # fmt: skip


def axon_sem() -> Layout:
    stems = [f"sub-rat{rat}/micr/sub-rat{rat}_sample-{sample}_SEM" for rat, sample in AXON]
    found = parallel(
        "{}.png",
        *(
            f"derivatives/labels/{{}}_seg-{what}-manual.png"
            for what in ("axon", "axonmyelin", "myelin")
        ),
        stems=stems,
    )
    noise = ["LICENSE", "README", "samples.tsv", "sub-rat1/micr/sub-rat1_sample-data1_SEM.json"]
    return Layout([*found.names, *noise], found.pairs, 3)


def polyps() -> Layout:
    stems = [str(number) for number in range(1, 21)]
    return layout(
        [f"CVC-612/images/fine_3_{n}_fram.jpg" for n in stems],
        [f"CVC-612/masks/fine_3_{n}_mask.jpg" for n in stems],
        "CVC-612/README.md",
        "CVC-612/masks/README.md",
    )


def drosophila() -> Layout:
    discs, slices = (5, 6, 12, 14, 15, 19, 20, 24, 26, 43), (4174, 4358, 7331, 7544, 7545)
    found = parallel(
        "drosophila_disc/image/img_{}.jpg",
        "drosophila_disc/annot/img_{}.png",
        "drosophila_disc/annot_rgb/img_{}.png",
        stems=list(map(str, discs)),
    )
    ovary = [
        f"drosophila_ovary_slice/{kind}/insitu{n}.{'jpg' if kind == 'image' else 'png'}"
        for kind in ("image", "annot_eggs", "annot_struct", "segm", "segm_rgb")
        for n in slices
    ]
    return Layout([*found.names, *ovary], found.pairs, 6, num_unmatched=5)


def islets() -> Layout:
    stems = ["Lh05-04", "Lh05-09", "Lh09-07", "gtExoIsl_13", "gtExoIsl_21", "gtExoIsl_27"]
    return parallel("islets/image/{}.jpg", "islets/annot/{}.png", stems=stems)


def tiff16_edge() -> Layout:
    pairs = {
        "stardist/data/images/img2d.tif": ("stardist/data/images/mask2d.tif",),
        "stardist/data/images/img3d.tif": ("stardist/data/images/mask3d.tif",),
        "tests/data/img2d.tif": ("tests/data/mask2d.tif",),
    }
    return Layout([name for image, masks in pairs.items() for name in (image, *masks)], pairs)


def drive() -> Layout:
    train = [f"{n}" for n in range(21, 41)]
    test = [f"{n:02}" for n in range(1, 21)]
    images = [f"DRIVE/training/images/{n}_training.tif" for n in train]
    masks = [f"DRIVE/training/1st_manual/{n}_manual1.gif" for n in train]
    test_images = [f"DRIVE/test/images/{n}_test.tif" for n in test]
    masks += [f"DRIVE/test/1st_manual/{n}_manual1.gif" for n in test]
    more = [f"DRIVE/training/mask/{n}_training_mask.gif" for n in train]
    more += [f"DRIVE/test/mask/{n}_test_mask.gif" for n in test]
    more += [f"DRIVE/test/2nd_manual/{n}_manual2.gif" for n in test]
    splits = dict.fromkeys(images, "train") | dict.fromkeys(test_images, "test")
    return layout([*images, *test_images], masks, *more, num_sets=3, splits=splits)


def cityscapes() -> Layout:
    cities = {"train": ("aachen", "bochum"), "val": ("frankfurt",), "test": ("berlin",)}
    stems = [
        f"{split}/{city}/{city}_{n:06}_000019"
        for split, found in cities.items()
        for city in found
        for n in range(4)
    ]
    found = parallel(
        "leftImg8bit/{}_leftImg8bit.png",
        *(f"gtFine/{{}}_gtFine_{what}.png" for what in ("labelIds", "color", "instanceIds")),
        stems=stems,
    )
    splits = {image: image.split("/")[1] for image in found.pairs}
    return Layout(
        [*found.names, "gtFine/train/aachen/a_gtFine_polygons.json"], found.pairs, 3, splits
    )


def by_split(form: str, splits: tuple[str, str, str], kinds: tuple[str, str]) -> Layout:
    """The same names in every part."""
    named = zip(splits, ("train", "val", "test"), strict=True)
    said = {
        form.format(split=split, kind=kinds[0], n=n): kept
        for split, kept in named
        for n in range(5)
    }
    masks = [form.format(split=split, kind=kinds[1], n=n) for split in splits for n in range(5)]
    return layout(list(said), masks, splits=said)


def decathlon() -> Layout:
    images = [f"Task/images{s}/hippo_{n:03}.png" for s in ("Tr", "Ts") for n in range(5)]
    splits = {image: "train" if "Tr/" in image else "test" for image in images}
    return layout(images, [image.replace("images", "labels") for image in images], splits=splits)


def carvana() -> Layout:
    stems = [f"{car}87a6bd4dc_{view:02}" for car in (0, 1, 2) for view in range(1, 17)]
    found = parallel("train/{}.jpg", "train_masks/{}_mask.gif", stems=stems)
    hidden = [f"test/{car}ed3bb2_{view:02}.jpg" for car in range(9) for view in range(1, 17)]
    return Layout([*found.names, *hidden], found.pairs, num_unmatched=len(hidden))


def nnunet() -> Layout:
    stems = [f"case_{n:03}" for n in (1, 2, 10, 11)]
    found = parallel("imagesTr/{}_0000.png", "labelsTr/{}.png", stems=stems)
    hidden = ["imagesTs/case_012_0000.png", "imagesTs/case_013_0000.png"]
    return Layout([*found.names, "dataset.json", *hidden], found.pairs, num_unmatched=2)


def busi() -> Layout:
    root = "Dataset_BUSI_with_GT"
    pairs = {
        f"{root}/{kind}/{kind} ({n}).png": (f"{root}/{kind}/{kind} ({n})_mask.png",)
        for kind in ("benign", "malignant", "normal")
        for n in (1, 2, 3, 10, 11, 12)
    }
    pairs[f"{root}/benign/benign (2).png"] += (f"{root}/benign/benign (2)_mask_1.png",)
    pairs[f"{root}/benign/benign (12).png"] += tuple(
        f"{root}/benign/benign (12)_mask_{n}.png" for n in (1, 2)
    )
    return Layout([name for image, masks in pairs.items() for name in (image, *masks)], pairs)


def pets() -> Layout:
    found = parallel("images/pug_{}.jpg", "annotations/trimaps/pug_{}.png")
    junk = [f"annotations/trimaps/._pug_{n}.png" for n in range(5)]
    return Layout([*found.names, *junk, "annotations/list.txt"], found.pairs)


def isic() -> Layout:
    root = "ISIC2018_Task1"
    return parallel(
        root + "-2_Training_Input/{}.jpg",
        root + "_Training_GroundTruth/{}_segmentation.png",
        root + "-2_Training_Input/{}_superpixels.png",
        stems=[f"ISIC_{n:07}" for n in (0, 1, 3, 10, 11)],
    )


def lidc() -> Layout:
    stems = [
        (f"LIDC-IDRI-{p:04}/nodule-{n}", s) for p in range(3) for n in (0, 1) for s in (0, 1, 10)
    ]
    images, *masks = [
        [f"{where}/{kind}/slice-{s}.png" for where, s in stems]
        for kind in ("images", "mask-0", "mask-1", "mask-2", "mask-3")
    ]
    return layout(images, masks[0], *masks[1], *masks[2], *masks[3], num_sets=4)


def cell_tracking() -> Layout:
    frames = [(video, n) for video in ("01", "02") for n in (0, 1, 9, 10)]
    return layout(
        [f"Fluo/{video}/t{n:03}.tif" for video, n in frames],
        [f"Fluo/{video}_GT/TRA/man_track{n:03}.tif" for video, n in frames],
        *(f"Fluo/{video}_GT/SEG/man_seg{n:03}.tif" for video, n in frames if n % 2),
        num_sets=2,
    )


def per_class_folder() -> Layout:
    return parallel("images/{}.png", "masks/cat/{}.png", "masks/dog/{}.png")


def in_own_folder() -> Layout:
    pairs = {
        f"images/{n:03}.png": tuple(f"masks/{n:03}/{k}.png" for k in range(1, 3 + n % 3))
        for n in range(9)
    }
    return Layout([name for image, masks in pairs.items() for name in (image, *masks)], pairs)


def numbered_instances() -> Layout:
    pairs = {
        f"images/{n}.png": tuple(f"masks/{n}_{k}.png" for k in (1, 2, 10)) for n in (1, 10, 11)
    }
    return Layout([name for image, masks in pairs.items() for name in (image, *masks)], pairs)


LAYOUTS = {
    "isbi2012.zip": isbi2012(),
    "nuclei.zip": nuclei(),
    "magnetic_tile.zip": magnetic_tile(),
    "rock4.zip": rock4(),
    "axon_sem.zip": axon_sem(),
    "polyps.zip": polyps(),
    "drosophila.zip": drosophila(),
    "islets_mixed.zip": islets(),
    "tiff16_edge.zip": tiff16_edge(),
    "DRIVE": drive(),
    "CHASE_DB1": parallel(
        "Image_{}.jpg", "Image_{}_1stHO.png", "Image_{}_2ndHO.png",
        stems=[f"{n:02}{side}" for n in (1, 2, 10, 14) for side in "LR"],
    ),
    "HRF": parallel(
        "images/{}.jpg", "manual1/{}.tif", "mask/{}_mask.tif",
        stems=[f"{n:02}_{kind}" for n in (1, 2, 10) for kind in ("dr", "g", "h")],
    ),
    "Cityscapes": cityscapes(),
    "CamVid": by_split("CamVid/{split}{kind}/{n}.png", ("train", "val", "test"), ("", "annot")),
    "ADE20K": by_split("{kind}/{split}/ADE_{n:08}.png", ("training", "validation", "test"),
                       ("images", "annotations")),
    "split above": by_split("{split}/{kind}/{n}.png", ("Train", "Valid", "Test"),
                            ("image", "label")),
    "split before": by_split("{split}_{kind}/{n}.png", ("train", "dev", "tst"),
                             ("images", "masks")),
    "split behind": by_split("{kind}_{split}/{n}.png", ("trn", "val", "testing"), ("img", "gt")),
    "Chinese": by_split("数据/{split}/{kind}/{n}.png", ("训练集", "验证集", "测试集"),
                        ("原图", "标签")),
    "Medical Decathlon": decathlon(),
    "Carvana": carvana(),
    "nnU-Net": nnunet(),
    "BUSI": busi(),
    "Oxford pets": pets(),
    "ISIC 2018": isic(),
    "Kvasir": parallel("Kvasir-SEG/images/{}.jpg", "Kvasir-SEG/masks/{}.jpg",
                       stems=["cju0qkwl35piu", "cju0qoxqj9q6s", "cju0qx73cjw57"]),
    "LIDC": lidc(),
    "Supervisely": parallel("ds/img/IMG_{}.jpg", "ds/masks_machine/IMG_{}.png",
                            "ds/masks_human/IMG_{}.png"),
    "whole file name kept": parallel("ds/img/{}.jpg", "ds/masks/{}.jpg.png"),
    "MoNuSeg": parallel("MoNuSeg Training Data/Tissue Images/TCGA-18-{}-01Z-00-DX1.tif",
                        "MoNuSeg Training Data/Binary Masks/TCGA-18-{}-01Z-00-DX1.png"),
    "VOC": parallel("JPEGImages/{}.jpg", "SegmentationClass/{}.png", "SegmentationObject/{}.png"),
    "GlaS": parallel("Warwick/{}.bmp", "Warwick/{}_anno.bmp",
                     stems=["testA_1", "testA_10", "testB_1", "train_1", "train_10"]),
    "a folder per sample": parallel("data/{}/image.png", "data/{}/mask.png"),
    "camel case": parallel("trainImages/cellA{}.png", "trainMasks/cellA{}Mask.png"),
    "German": parallel("Bilder/Zelle_ä{}.png", "Masken/Zelle_ä{}.png"),
    "French": parallel("Images/é{}.png", "Étiquettes/é{}.png"),
    "Spanish": parallel("Imágenes/{}.png", "Máscaras/{}.png"),
    "Chinese compound": parallel("训练图像/{}.png", "训练标注/{}.png"),
    "BIDS without extra words": parallel("sub-{0}/micr/sub-{0}_SEM.png",
                                         "derivatives/labels/sub-{0}/micr/sub-{0}_SEM_seg.png"),
    "unpadded": layout([f"images/img_{n}.png" for n in (1, 2, 10, 100)],
                       [f"masks/mask_{n:03}.png" for n in (1, 2, 10, 100)], unsaid=True),
    "a mark within": parallel("p1_img_{}.png", "p1_mask_{}.png"),
    "a mark in image names only": parallel("p1_{}.png", "p1_mask_{}.png"),
    "inverted and overlays": parallel("images/{}.png", "masks/{}.png", "masks_inverted/{}.png",
                                      "overlays/{}.png"),
    "region beside labels": parallel("images/{}.png", "labels/{}.png", "roi/{}.png"),
    "mask beside labels": parallel("images/{}.png", "label/{}.png", "mask/{}.png"),
    "predictions": parallel("images/{}.png", "gt/{}.png", "pred/{}.png"),
    "masks in two formats": parallel("images/{}.png", "masks/{}.png", "masks/{}.tif"),
    "a folder per class": per_class_folder(),
    "a folder of instances": in_own_folder(),
    "numbered instances": numbered_instances(),
    "organs": parallel("{}/scan.png", "{}/masks/kidney.png", "{}/masks/liver.png"),
    "two roots called segmentation": parallel("segmentation_{}/train/1.png",
                                              "segmentation_{}/train_labels/1.png",
                                              stems=["a", "b", "c"]),
    "one pair": parallel("images/{}.png", "masks/{}.png", stems=["1"]),
    "DeepGlobe": parallel("train/{}_sat.jpg", "train/{}_mask.png"),
    "labelme": parallel("{}_json/img.png", "{}_json/label.png", "{}_json/label_viz.png"),
    "Cellpose": parallel("{}_img.png", "{}_cp_masks.png"),
    "raters": parallel("images/{}.png", "annotator1/{}.png", "annotator2/{}.png"),
    "DAVIS": parallel("DAVIS/JPEGImages/480p/{}.jpg", "DAVIS/Annotations/480p/{}.png",
                      stems=[f"{clip}/{n:05}" for clip in ("bear", "bus") for n in range(4)]),
    "MVTec": parallel("bottle/test/{}.png", "bottle/ground_truth/{}_mask.png",
                      stems=[f"{kind}/{n:03}" for kind in ("broken_large", "color")
                             for n in range(4)]),
    "Cell Tracking": cell_tracking(),
    "IDRiD": parallel("1. Original Images/a. Training Set/IDRiD_{}.jpg",
                      "2. All Segmentation Groundtruths/a. Training Set/3. EX/IDRiD_{}_EX.tif",
                      "2. All Segmentation Groundtruths/a. Training Set/4. Disc/IDRiD_{}_OD.tif"),
    "REFUGE": parallel("Training400/{}.jpg", "Annotation-Training400/Disc_Cup_Masks/{}.bmp",
                       stems=["Glaucoma/g0001", "Glaucoma/g0010", "Non-Glaucoma/n0001"]),
    "OME": parallel("raw/{}.ome.tif", "seg/{}.tif"),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_layout_is_read_as_people_mean_it(name: str) -> None:
    made = LAYOUTS[name]
    found = propose(made.names)
    best = found.proposals[0]
    assert {pair.image: pair.masks for pair in best.pairs} == made.pairs
    assert {pair.image: pair.split for pair in best.pairs if pair.split} == made.splits
    assert len(found.proposals) == made.num_sets
    assert len(best.unmatched) == made.num_unmatched
    assert best.ambiguous == ()
    assert propose(made.names[::-1]) == found


@pytest.mark.parametrize("name", [name for name in LAYOUTS if name != "one pair"])
def test_layout_can_be_said_in_patterns(name: str) -> None:
    made = LAYOUTS[name]
    for proposal in propose(made.names).proposals:
        patterns = suggest_patterns(proposal)
        assert (patterns is None) == made.unsaid
        if patterns is not None:
            assert by_patterns(made.names, *patterns).pairs == proposal.pairs
