"""Training data of any origin as batches of tensors, inspected before it is used."""

from dasha.data.inspection import DataSummary as DataSummary
from dasha.data.inspection import inspect as inspect
from dasha.data.split import Split as Split
from dasha.data.split import as_split as as_split
