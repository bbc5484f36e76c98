"""DNA sequences: dasha for genomic prediction tasks."""

from dasha._lazy import lazy_names

_HOMES = {
    "Augmentation": "augment",
    "LeakReport": "leaks",
    "SequenceData": "sequences",
    "SequenceDataModule": "datamodules",
    "SequenceDataset": "dataset",
    "SequenceSplits": "sequences",
    "StrandAverage": "reverse_complement",
    "chromosome_split": "splits",
    "decode": "encoding",
    "encode": "encoding",
    "leak_report": "leaks",
    "one_hot": "encoding",
    "random_split": "splits",
    "read_arrays": "sequences",
    "read_bed": "sequences",
    "read_class_folder": "sequences",
    "read_fasta": "sequences",
    "read_genomic_benchmark": "sequences",
    "read_hugging_face": "sequences",
    "read_splits": "sequences",
    "read_table": "sequences",
    "similarity_groups": "similarity",
    "similarity_split": "splits",
}

__all__ = list(_HOMES)

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
