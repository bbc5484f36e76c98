"""What is used of Lightning; where it is missing, the error names the command that installs it."""

from dasha._optional import require

require("lightning.pytorch", extra="genomics")

from lightning.pytorch import LightningDataModule as LightningDataModule  # noqa: E402
from lightning.pytorch import LightningModule as LightningModule  # noqa: E402
from lightning.pytorch import Trainer as Trainer  # noqa: E402
from lightning.pytorch.cli import LightningCLI as LightningCLI  # noqa: E402
