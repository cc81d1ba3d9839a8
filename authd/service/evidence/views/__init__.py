"""Record views: which person opened which record, with a signed receipt that comes after the durable row."""

from authd.service.evidence.views.said import Said, View, ViewRefused, Why
from authd.service.evidence.views.views import LOOKED_UP, Before, OnView, Views

__all__ = ["LOOKED_UP", "Before", "OnView", "Said", "View", "ViewRefused", "Views", "Why"]
