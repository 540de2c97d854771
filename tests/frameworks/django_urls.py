"""Every route of the tests' Django project: Django's own views, and below ``/rest`` those of the REST framework."""

from __future__ import annotations

from django.urls import include, path

from tests.frameworks import face_django, face_rest_framework

urlpatterns = [
    path("", include(face_django.urlpatterns)),
    path("rest/", include(face_rest_framework.urlpatterns)),
]
