"""Datamodules for images that people have in folders."""
