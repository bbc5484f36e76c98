"""Draw test tiles beside their masks and the classes that a checkpoint gives their pixels.

Example: ``python draw_predictions.py --checkpoint last.ckpt --root dubai --groups 'tile[0-9]+' --out pictures``
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from torchgeo_dasha import DashaSemanticSegmentationTask, TileSegmentationDataModule


def main() -> None:
    """Write one picture per tile."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="of torchgeo fit")
    parser.add_argument("--root", type=Path, required=True, help="folder of the tiles")
    parser.add_argument("--groups", help="pattern of the part of a name that is its scene")
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder for the pictures")
    parser.add_argument("--count", type=int, default=3, help="number of tiles, evenly spread over the test part")
    arguments = parser.parse_args()

    task = DashaSemanticSegmentationTask.load_from_checkpoint(arguments.checkpoint, map_location="cpu").eval()
    data = TileSegmentationDataModule(
        root=arguments.root, groups=arguments.groups, batch_size=1, ignore_index=task.hparams["ignore_index"]
    )
    data.setup("test")
    dataset = data.test_dataset
    arguments.out.mkdir(parents=True, exist_ok=True)
    for number in torch.linspace(0, len(dataset) - 1, arguments.count).int().tolist():
        sample = dataset[number]
        with torch.inference_mode():
            inputs = data.aug({"image": sample["image"][None]})["image"]
            sample["prediction"] = task(inputs).argmax(1)[0]
        picture = arguments.out / f"{dataset.paths[number].stem}.png"
        data.plot(sample).savefig(picture, dpi=60)
        print(picture)


if __name__ == "__main__":
    main()
