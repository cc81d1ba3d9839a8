"""The policy decision point: Cedar rules, settings, and what they are asked."""

from authd.service.pdp.asked import LocalTime, local_time
from authd.service.pdp.attributes import Directory, PersonAttrs, SeatAttrs, SystemAttrs
from authd.service.pdp.bundle import Bundle, Rule, Source, installed, read
from authd.service.pdp.decision import Pdp
from authd.service.pdp.errors import BundleError
from authd.service.pdp.reload import Loaded, Refused, load, watch
from authd.service.pdp.scope import AUTO, Scope, check_scope, choose, scope_bound
from authd.service.pdp.settings import Settings, next_duty

__all__ = [
    "AUTO",
    "Bundle",
    "BundleError",
    "Directory",
    "Loaded",
    "LocalTime",
    "Pdp",
    "PersonAttrs",
    "Refused",
    "Rule",
    "Scope",
    "SeatAttrs",
    "Settings",
    "Source",
    "SystemAttrs",
    "check_scope",
    "choose",
    "installed",
    "load",
    "local_time",
    "next_duty",
    "read",
    "scope_bound",
    "watch",
]
