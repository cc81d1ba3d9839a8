"""Old web applications with a sign-on form: signing on and off for somebody, and new passwords by their own page."""

from authd.broker.forms.legacy import FormSystem, Legacy, Outcome, Visit
from authd.broker.forms.rotator import FormRotator

__all__ = ["FormRotator", "FormSystem", "Legacy", "Outcome", "Visit"]
