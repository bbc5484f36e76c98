"""Satellite imagery: dasha inside TorchGeo."""
