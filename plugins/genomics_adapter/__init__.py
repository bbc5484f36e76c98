"""DNA sequences: dasha for genomic prediction tasks.

Public names are imported when they are first used, and the tools they need with them.
"""

from typing import TYPE_CHECKING

from dasha._lazy import lazy_names

if TYPE_CHECKING:
    from genomics_adapter.attribution import attribute as attribute
    from genomics_adapter.augment import Augmentation as Augmentation
    from genomics_adapter.card import model_card as model_card
    from genomics_adapter.datamodules import SequenceDataModule as SequenceDataModule
    from genomics_adapter.dataset import SequenceDataset as SequenceDataset
    from genomics_adapter.encoding import decode as decode
    from genomics_adapter.encoding import encode as encode
    from genomics_adapter.encoding import one_hot as one_hot
    from genomics_adapter.estimator import DashaSequenceClassifier as DashaSequenceClassifier
    from genomics_adapter.estimator import DashaSequenceRegressor as DashaSequenceRegressor
    from genomics_adapter.leaks import LeakReport as LeakReport
    from genomics_adapter.leaks import leak_report as leak_report
    from genomics_adapter.patterns import motifs as motifs
    from genomics_adapter.reverse_complement import StrandAverage as StrandAverage
    from genomics_adapter.sequences import SequenceData as SequenceData
    from genomics_adapter.sequences import SequenceSplits as SequenceSplits
    from genomics_adapter.sequences import read_arrays as read_arrays
    from genomics_adapter.sequences import read_bed as read_bed
    from genomics_adapter.sequences import read_class_folder as read_class_folder
    from genomics_adapter.sequences import read_fasta as read_fasta
    from genomics_adapter.sequences import read_file as read_file
    from genomics_adapter.sequences import read_genomic_benchmark as read_genomic_benchmark
    from genomics_adapter.sequences import read_hugging_face as read_hugging_face
    from genomics_adapter.sequences import read_splits as read_splits
    from genomics_adapter.sequences import read_table as read_table
    from genomics_adapter.similarity import similarity_groups as similarity_groups
    from genomics_adapter.splits import chromosome_split as chromosome_split
    from genomics_adapter.splits import random_split as random_split
    from genomics_adapter.splits import similarity_split as similarity_split
    from genomics_adapter.tasks import DashaSequenceTask as DashaSequenceTask

_HOMES = {
    "Augmentation": "augment",
    "DashaSequenceClassifier": "estimator",
    "DashaSequenceRegressor": "estimator",
    "DashaSequenceTask": "tasks",
    "LeakReport": "leaks",
    "SequenceData": "sequences",
    "SequenceDataModule": "datamodules",
    "SequenceDataset": "dataset",
    "SequenceSplits": "sequences",
    "StrandAverage": "reverse_complement",
    "attribute": "attribution",
    "chromosome_split": "splits",
    "decode": "encoding",
    "encode": "encoding",
    "leak_report": "leaks",
    "model_card": "card",
    "motifs": "patterns",
    "one_hot": "encoding",
    "random_split": "splits",
    "read_arrays": "sequences",
    "read_bed": "sequences",
    "read_class_folder": "sequences",
    "read_fasta": "sequences",
    "read_file": "sequences",
    "read_genomic_benchmark": "sequences",
    "read_hugging_face": "sequences",
    "read_splits": "sequences",
    "read_table": "sequences",
    "similarity_groups": "similarity",
    "similarity_split": "splits",
}

__all__ = [*_HOMES]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
