"""The settings of the tests' Django project, whose routes are those of both of its faces."""

from __future__ import annotations

import django
from django.conf import settings

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="tests.frameworks.django_urls",
        SECRET_KEY="for the tests alone",
        DEFAULT_CHARSET="utf-8",
        USE_TZ=True,
        INSTALLED_APPS=["rest_framework", "drf_spectacular"],
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
        ],
        REST_FRAMEWORK={
            "UNAUTHENTICATED_USER": None,
            "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
        },
        SPECTACULAR_SETTINGS={"TITLE": "Contract", "VERSION": "1"},
    )
    django.setup()
