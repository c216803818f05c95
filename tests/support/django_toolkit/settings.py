"""Of the Django project, as Django reads them; its database is named by a variable."""

import json
import os

from support.real_server import SCOPE

ALLOWED_HOSTS = ["127.0.0.1"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["EXTAUTHZ_TEST_DATABASE"],
        "OPTIONS": {"timeout": 5},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]  # says how long an answer is, so that connections live on
MIGRATION_MODULES = dict.fromkeys(["auth", "contenttypes", "oauth2_provider"])  # tables straight from the models
OAUTH2_PROVIDER = {"SCOPES": {SCOPE: "read", "orders:write": "write", "introspection": "introspect"}}
if asked := os.environ.get("EXTAUTHZ_TEST_INTROSPECTION"):  # a resource server that asks another authorization server
    _url, *_pair = json.loads(asked)
    OAUTH2_PROVIDER |= {"RESOURCE_SERVER_INTROSPECTION_URL": _url, "RESOURCE_SERVER_INTROSPECTION_CREDENTIALS": _pair}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # a slow one would be paid at each question
ROOT_URLCONF = "support.django_toolkit.urls"
SECRET_KEY = "of a server that lives for one test run"
TIME_ZONE = "UTC"
USE_TZ = True
