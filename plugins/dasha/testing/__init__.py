"""Conformance suites for plugin authors: plain functions that raise ``AssertionError`` with a reason."""

from dasha.testing.forecasters import check_forecaster

__all__ = ["check_forecaster"]
