"""Small files of the kinds that the pages take for granted."""

import numpy as np
import pandas as pd

CLASSES = 10  # of EuroSAT, and of README's fields.yaml


def write_sequences(folder, counts=(("train", 120), ("dev", 40), ("test", 40))):
    """Tables of a folder of the benchmark GUE: the class is whether a motif is there."""
    rng = np.random.default_rng(1)
    folder.mkdir()
    for part, count in counts:
        labels = np.arange(count) % 2
        bases = rng.choice(list("ACGT"), (count, 40))
        bases[labels == 1, 8:14] = list("GACTCA")
        pd.DataFrame({"sequence": map("".join, bases), "label": labels}).to_csv(folder / f"{part}.csv", index=False)


def write_fasta(path, count=6):
    """Sequences without labels."""
    rng = np.random.default_rng(2)
    path.write_text("".join(f">s{number}\n{''.join(rng.choice(list('ACGT'), 40))}\n" for number in range(count)))


def write_series(folder):
    """A wide table, a long one, the latter in a folder of two files, and a file of the Monash archive."""
    rng = np.random.default_rng(3)
    days = pd.date_range("2023-01-01", periods=400)
    week = 20 + days.dayofweek.to_numpy()
    wide = pd.DataFrame({"day": days, "north": week + rng.normal(size=400), "south": week + rng.normal(size=400)})
    wide.to_csv(folder / "sales.csv", index=False)
    long = wide.melt("day", var_name="shop", value_name="sales")
    long.to_csv(folder / "shops.csv", index=False)
    (folder / "shops").mkdir()
    for shop, rows in long.groupby("shop"):
        rows.to_csv(folder / "shops" / f"{shop}.csv", index=False)
    header = "@relation Tourism\n@attribute series_name string\n@attribute start_timestamp date\n@frequency monthly\n"
    months = [5 + np.sin(np.arange(150) / 2) + rng.normal(0, 0.1, 150) for _ in range(3)]
    rows = [f"T{place}:1990-01-01 00-00-00:{','.join(map(str, values))}" for place, values in enumerate(months)]
    (folder / "tourism_monthly_dataset.tsf").write_text(f"{header}@data\n" + "\n".join(rows) + "\n")


def write_arrays(folder):
    """Parts of two classes as arrays, and later data to test on."""
    rng = np.random.default_rng(4)
    arrays = {}
    for part, count in (("train", 30), ("val", 16), ("test", 14)):
        arrays[f"x_{part}"] = rng.normal(size=(count, 1, 10)).astype("float32")
        arrays[f"y_{part}"] = np.arange(count) % 2
    np.savez(folder / "data.npz", **arrays)
    np.savez(folder / "later.npz", x_test=arrays["x_test"], y_test=arrays["y_test"])


def write_images(folder, size=8):
    """Pictures of every class, cut from six scenes."""
    from PIL import Image

    rng = np.random.default_rng(5)
    for label in range(CLASSES):
        (folder / f"class{label}").mkdir(parents=True)
        for number in range(12):
            pixels = rng.normal(20 * label + 30, 10, (size, size, 3)).clip(0, 255).astype("uint8")
            Image.fromarray(pixels).save(folder / f"class{label}" / f"scene{number // 2}_{number}.png")


def write_tif(path, pixels):
    """A GeoTIFF of pixels ``(C, H, W)``."""
    import rasterio

    path.parent.mkdir(parents=True, exist_ok=True)
    place = {"crs": "EPSG:32633", "transform": rasterio.transform.from_origin(500_000, 5_000_000, 10, 10)}
    count, height, width = pixels.shape
    with rasterio.open(path, "w", "GTiff", width, height, count=count, dtype=pixels.dtype, **place) as file:
        file.write(pixels)


def write_eurosat(root, size=16):
    """EuroSAT as TorchGeo unpacks it: 13 bands, folders of classes, lists of the parts."""
    rng = np.random.default_rng(6)
    lists = {"train": [], "val": [], "test": []}
    for label in range(CLASSES):
        for number, part in enumerate((*["train"] * 7, "val", "test")):
            name = f"Class{label}_{number}"
            place = root / "ds/images/remote_sensing/otherDatasets/sentinel_2/tif" / f"Class{label}"
            write_tif(place / f"{name}.tif", rng.integers(100 * label, 1000, (13, size, size)).astype("uint16"))
            lists[part].append(f"{name}.jpg")
    for part, names in lists.items():
        (root / f"eurosat-{part}.txt").write_text("\n".join(names))


def write_tiles(root, bands=3, classes=6, size=32):
    """Images and masks of the same names, four tiles of every scene."""
    rng = np.random.default_rng(7)
    for number in range(32):
        mask = rng.integers(0, classes, (1, size, size)).astype("uint8")
        pixels = 20 * mask + rng.integers(1, 20, (bands, size, size)).astype("uint8")
        write_tif(root / "images" / f"tile{number // 4}_{number}.tif", pixels)
        write_tif(root / "masks" / f"tile{number // 4}_{number}.tif", mask)
