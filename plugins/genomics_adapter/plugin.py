"""What this package adds to dasha: nothing yet; it states its hosts, so that ``dasha doctor`` can check them."""

from dasha import Requirement

requires = (
    Requirement("tangermeme", install="dasha-plugins[genomics]"),
    Requirement("lightning", install="dasha-plugins[genomics]"),
    Requirement("pyfaidx", install="dasha-plugins[genomics]"),
)
