"""Draw test tiles beside their masks and the classes that a checkpoint gives their pixels.

Example: ``python draw_predictions.py --checkpoint last.ckpt --root dubai --out pictures``
"""

from __future__ import annotations

import argparse
from inspect import signature
from pathlib import Path

import torch

from torchgeo_dasha import DashaSemanticSegmentationTask, TileSegmentationDataModule
from torchgeo_dasha.inputs import KEY


def main() -> None:
    """Write one picture per tile."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="of torchgeo fit")
    parser.add_argument("--root", type=Path, required=True, help="folder of the tiles")
    parser.add_argument("--groups", help="pattern of the part of a name that is its scene, if it was another")
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder for the pictures")
    parser.add_argument("--count", type=int, default=3, help="number of tiles, evenly spread over the test part")
    arguments = parser.parse_args()

    task = DashaSemanticSegmentationTask.load_from_checkpoint(arguments.checkpoint, map_location="cpu").eval()
    # Bands, sizes and parts as in the training, if the checkpoint has them.
    checkpoint = torch.load(arguments.checkpoint, weights_only=True)
    stored = checkpoint.get("datamodule_hyper_parameters", {})
    options = {"ignore_index": task.hparams["ignore_index"]}
    options |= {
        name: value for name, value in stored.items() if name in signature(TileSegmentationDataModule).parameters
    }
    options |= {"root": arguments.root, "batch_size": 1, "num_workers": 0}
    options |= {"groups": arguments.groups} if arguments.groups else {}
    data = TileSegmentationDataModule(**options)
    data.setup("test")
    # Mean and spread, too, whatever those of the images in the folder are.
    state = next((value for value in checkpoint.values() if isinstance(value, dict) and KEY in value), None)
    if state is not None:
        data.load_state_dict(state)
    dataset = data.test_dataset
    arguments.out.mkdir(parents=True, exist_ok=True)
    for number in torch.linspace(0, len(dataset) - 1, arguments.count).int().tolist():
        sample = dataset[number]
        with torch.inference_mode():
            inputs = data.aug({"image": sample["image"][None]})["image"]
            outputs = task(inputs)[0]
        sample["prediction"] = outputs.argmax(0) if len(outputs) > 1 else (outputs[0] > 0).long()
        picture = arguments.out / f"{dataset.paths[number].stem}.png"
        data.plot(sample).savefig(picture, dpi=60)
        print(picture)


if __name__ == "__main__":
    main()
