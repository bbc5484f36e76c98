"""Labelled DNA sequences, and readers for the forms they come in."""

from genomics_adapter.sequences.arrays import read_arrays as read_arrays
from genomics_adapter.sequences.bed import read_bed as read_bed
from genomics_adapter.sequences.data import SequenceData as SequenceData
from genomics_adapter.sequences.data import SequenceSplits as SequenceSplits
from genomics_adapter.sequences.data import Source as Source
from genomics_adapter.sequences.fasta import read_fasta as read_fasta
from genomics_adapter.sequences.files import read_file as read_file
from genomics_adapter.sequences.folders import read_class_folder as read_class_folder
from genomics_adapter.sequences.folders import read_splits as read_splits
from genomics_adapter.sequences.hub import read_genomic_benchmark as read_genomic_benchmark
from genomics_adapter.sequences.hub import read_hugging_face as read_hugging_face
from genomics_adapter.sequences.table import read_table as read_table
