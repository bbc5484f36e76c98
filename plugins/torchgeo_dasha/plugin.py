"""What this package adds to dasha: nothing yet; it states its host, so that ``dasha doctor`` can check it."""

from dasha import Requirement

requires = (Requirement("torchgeo", install="dasha-plugins[torchgeo]"),)
