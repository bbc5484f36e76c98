"""Commands that this package adds to ``dasha``."""
