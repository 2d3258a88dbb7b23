"""Prometheus exporter for the P2P API of LocalAI."""

__version__ = "0.1.0"
