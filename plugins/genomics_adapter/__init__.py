"""DNA sequences: dasha for genomic prediction tasks."""
