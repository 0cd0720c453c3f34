"""An OAuth 2.0 server that is not ours: Authlib's, in a small Flask app, with the API that its tokens open."""

import logging
import secrets
import threading
import time

from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector, current_token
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin, TokenMixin, grants, list_to_scope, scope_to_list
from authlib.oauth2.rfc6750 import BearerTokenValidator
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc9207 import IssuerParameter
from flask import Flask, jsonify, request
from werkzeug.serving import WSGIRequestHandler, make_server

SCOPES = ("orders:read", "orders:write")


class Client(ClientMixin):
    def __init__(self, client_id, client_secret, method):
        self.client_id, self.client_secret, self.method = client_id, client_secret, method
        self.redirect_uri = None  # the one that was registered

    def get_client_id(self):
        return self.client_id

    def get_allowed_scope(self, scope):
        return list_to_scope([each for each in scope_to_list(scope or "") if each in SCOPES])

    def check_client_secret(self, client_secret):
        return secrets.compare_digest(client_secret.encode(), self.client_secret.encode())

    def check_endpoint_auth_method(self, method, endpoint):
        return method == self.method

    def check_grant_type(self, grant_type):
        return grant_type in ("authorization_code", "client_credentials", "refresh_token")

    def check_response_type(self, response_type):
        return response_type == "code"

    def check_redirect_uri(self, redirect_uri):
        return redirect_uri == self.redirect_uri


class Code(AuthorizationCodeMixin):
    """What a user agreed to."""

    def __init__(self, code, user, payload, scope):
        self.code, self.user, self.scope = code, user, scope
        self.redirect_uri = payload.redirect_uri
        self.code_challenge = payload.data.get("code_challenge")
        self.code_challenge_method = payload.data.get("code_challenge_method")
        self.expires = time.time() + 60

    def get_redirect_uri(self):
        return self.redirect_uri

    def get_scope(self):
        return self.scope


class Token(TokenMixin):
    def __init__(self, client, access_token, expires_in, scope="", refresh_token=None, user="alice", **_):
        self.client, self.access_token, self.scope, self.refresh_token = client, access_token, scope, refresh_token
        self.user = user
        self.expires = time.time() + expires_in
        self.revoked = False

    def check_client(self, client):
        return client is self.client

    def get_scope(self):
        return self.scope

    def is_expired(self):
        return time.time() >= self.expires

    def is_revoked(self):
        return self.revoked

    def get_client(self):
        return self.client

    def get_user(self):
        return self.user


class OAuthServer:
    """`origin`, `token_url`; `asked` is (form, whether by header) of every token request; `calls` what the API was called with.

    `user` is who sits at the browser that comes to `authorize_url`, None for one who says no.
    """

    def __init__(self, context, client_id, client_secret, method, rotates=True, issuer=None):
        self.client = Client(client_id, client_secret, f"client_secret_{method}" if method != "none" else "none")
        self.tokens, self.asked, self.calls = [], [], []
        self.rotates, self.issuer, self.user, self.codes = rotates, issuer, "alice", []
        self.server = make_server("127.0.0.1", 0, self._app(), threaded=True, ssl_context=context, request_handler=Quiet)
        self.origin = f"https://localhost:{self.server.port}"
        self.authorize_url, self.token_url, self.revoke_url = (
            self.origin + path for path in ("/oauth/authorize", "/oauth/token", "/oauth/revoke"))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def login(self):
        """A user has logged in elsewhere: the refresh token of that."""
        token = Token(self.client, secrets.token_urlsafe(24), 0, list_to_scope(SCOPES), secrets.token_urlsafe(24))
        self.tokens.append(token)
        return token.refresh_token

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def _app(self):
        app = Flask("oauth")
        app.config["OAUTH2_REFRESH_TOKEN_GENERATOR"] = True
        everything = self

        class RefreshTokenGrant(grants.RefreshTokenGrant):
            TOKEN_ENDPOINT_AUTH_METHODS = [everything.client.method]
            INCLUDE_NEW_REFRESH_TOKEN = everything.rotates

            def authenticate_refresh_token(self, refresh_token):
                return next((token for token in everything.tokens
                             if token.refresh_token == refresh_token and not token.revoked), None)

            def authenticate_user(self, refresh_token):
                return refresh_token.user

            def revoke_old_credential(self, refresh_token):
                refresh_token.revoked = everything.rotates

        class AuthorizationCodeGrant(grants.AuthorizationCodeGrant):
            TOKEN_ENDPOINT_AUTH_METHODS = [everything.client.method]

            def save_authorization_code(self, code, request):
                everything.codes.append(Code(code, request.user, request.payload, request.scope))

            def query_authorization_code(self, code, client):
                return next((each for each in everything.codes if each.code == code and time.time() < each.expires), None)

            def delete_authorization_code(self, authorization_code):
                authorization_code.expires = 0

            def authenticate_user(self, authorization_code):
                return authorization_code.user

        class Revocation(RevocationEndpoint):
            CLIENT_AUTH_METHODS = [everything.client.method]

            def query_token(self, token_string, token_type_hint):
                return next((token for token in everything.tokens
                             if token_string in (token.access_token, token.refresh_token)), None)

            def revoke_token(self, token, request):
                token.revoked = True

        class Issuer(IssuerParameter):
            def get_issuer(self):
                return everything.issuer

        class ClientCredentialsGrant(grants.ClientCredentialsGrant):
            TOKEN_ENDPOINT_AUTH_METHODS = [everything.client.method]

        class Validator(BearerTokenValidator):
            def authenticate_token(self, token_string):
                return next((token for token in everything.tokens if token.access_token == token_string), None)

        server = AuthorizationServer(
            app, query_client=lambda client_id: self.client if client_id == self.client.client_id else None,
            save_token=lambda token, request: self.tokens.append(Token(
                request.client, user=request.user or "alice", **token)))
        server.register_grant(AuthorizationCodeGrant, [CodeChallenge(required=True)])
        server.register_extension(Issuer())
        server.register_endpoint(Revocation)
        server.register_grant(RefreshTokenGrant)
        server.register_grant(ClientCredentialsGrant)
        protect = ResourceProtector()
        protect.register_token_validator(Validator())

        @app.get("/oauth/authorize")
        def authorize():
            try:
                grant = server.get_consent_grant(end_user=self.user)
            except OAuth2Error as error:
                return server.handle_error_response(request, error)
            return server.create_authorization_response(grant=grant, grant_user=self.user)

        @app.post("/oauth/revoke")
        def revoke():
            return server.create_endpoint_response(Revocation.ENDPOINT_NAME)

        @app.post("/oauth/token")
        def token():
            self.asked.append((dict(request.form), "Authorization" in request.headers))
            return server.create_token_response()

        @app.get("/orders")
        @protect("orders:read")
        def orders():
            self.calls.append(current_token)
            return jsonify(orders=[], token=self.tokens.index(current_token))

        @app.get("/me")
        @protect()
        def me():
            return jsonify(user=current_token.user)

        return app


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, *_):
        pass


logging.getLogger("werkzeug").setLevel(logging.ERROR)
