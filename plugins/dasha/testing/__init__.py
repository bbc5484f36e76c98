"""Conformance suites for plugin authors: plain functions that raise ``AssertionError`` with a reason."""

from dasha.testing.backbones import check_backbone
from dasha.testing.forecasters import check_forecaster
from dasha.testing.tasks import check_task

__all__ = ["check_backbone", "check_forecaster", "check_task"]
