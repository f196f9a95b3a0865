"""An OAuth server: Django with django-oauth-toolkit over TLS. Arguments: folder, port (0: any). Prints its port."""

import ssl
import sys
from datetime import timedelta
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django
from django.conf import settings

folder, port = Path(sys.argv[1]), int(sys.argv[2])
settings.configure(
    SECRET_KEY="of the tests", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "oauth.sqlite"),
                           "OPTIONS": {"timeout": 20}}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"],
    OAUTH2_PROVIDER={"SCOPES": {"ledger.read": "read", "ledger.write": "write", "ledger.audit": "audit",
                                "introspection": "introspect"}})
django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.urls import include, path  # noqa: E402
from django.utils import timezone  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402
from oauth2_provider.models import AccessToken, Application  # noqa: E402



def short_lived(_):
    """A token that expires in a moment; the server's own endpoint has one lifetime for all."""
    AccessToken.objects.create(
        token="short-lived", scope="ledger.read", application=Application.objects.get(client_id="web-shop"),
        expires=timezone.now() + timedelta(seconds=4))
    return HttpResponse("{}")


urlpatterns = [
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")), path("short-lived", csrf_exempt(short_lived))]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def prepare():
    call_command("migrate", verbosity=0)
    if Application.objects.exists():
        return
    user = get_user_model().objects.create_user("alice", password="alice of the tests")
    for name, grant in [("web-shop", "client-credentials"), ("web-app", "password"), ("gate way", "client-credentials")]:
        Application.objects.create(
            name=name, client_id=name, client_secret=f"secret:of {name}", client_type="confidential",
            authorization_grant_type=grant, user=user)


prepare()
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(folder / "server.pem", folder / "server.key")
server = make_server("127.0.0.1", port, get_wsgi_application(), Server, Quiet)
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
