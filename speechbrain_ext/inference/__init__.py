"""Trained models on anyone's recordings."""

from .separator import Separator

__all__ = ["Separator"]
