"""Commands of this package; each module is imported when its command is run."""
