"""The last value as a forecast: the smallest useful plugin for dasha."""
