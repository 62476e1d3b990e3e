"""Admission: how many requests compute at once, how long they may take, and which are rejected before they cost."""

from service.admission.admitted_request import AdmittedRequest
from service.admission.controller import AdmissionController
from service.admission.deadline import Deadline
from service.admission.progress import ProgressChannel

__all__ = ["AdmissionController", "AdmittedRequest", "Deadline", "ProgressChannel"]
