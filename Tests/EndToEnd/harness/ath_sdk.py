"""The ATH protocol's own client, in its four forms, and the way that each goes: the judge of what a daemon says."""

import asyncio
import inspect

from ath import ATHGatewayClient, ATHNativeClient
from ath.client import AsyncATHGatewayClient, AsyncATHNativeClient

from .ath_client import came_back
from .ath_handshake import handshake_of
from .ath_servers import Gateway, NativeService

KINDS = {
    "gateway": (Gateway, ATHGatewayClient), "async gateway": (Gateway, AsyncATHGatewayClient),
    "native": (NativeService, ATHNativeClient), "async native": (NativeService, AsyncATHNativeClient),
}


class Sdk:
    """A client of the SDK, whose calls are waited for where they are asynchronous. `fields` are sent with every request."""

    def __init__(self, kind, server, agent, fields=()):
        self.server, self.runner = server, asyncio.Runner()
        self.provider = server.app_id if isinstance(server, NativeService) else "mail"
        self.own = KINDS[kind][1](server.url, agent.agent_id, agent.pem, key_id=agent.key_id, timeout=30)
        self.own._http.headers.update(dict(fields))  # it has no way for that of its own

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
        self.runner.close()

    def __getattr__(self, name):
        found = getattr(self.own, name)
        return (lambda *given, **more: self._waits_for(found(*given, **more))) if callable(found) else found

    def _waits_for(self, value):
        async def waits():
            return await value

        return self.runner.run(waits()) if inspect.isawaitable(value) else value

    def call(self, method, path, body=None):
        """A call of the service, as the client's mode has it."""
        if isinstance(self.server, NativeService):
            return self.api(method, path, body)
        return self.proxy(self.provider, method, path, body)

    def registers(self, scopes=("mail:read",), **more):
        return self.register(**{
            "developer": {"name": "Example Ltd", "id": "dev-7"}, "purpose": "tests",
            "providers": [{"provider_id": self.provider, "scopes": list(scopes)}], **more})

    def logs_in(self, scopes=("mail:read",), **more):
        """Authorizes, the user agrees, and the code is exchanged: the SDK's answer to that."""
        begun = self.authorize(self.provider, list(scopes), **more)
        back = came_back(self.server.goes_to(begun.authorization_url))
        return self.exchange_token(back.get("code", ""), begun.ath_session_id)


def whole_way(sdk, calls=(("GET", "/v1/messages", None),), scopes=("mail:read",), redirect_uri=None, resource=None,
              **registered):
    """Discovery, registration, consent, exchange, calls and revocation: what the calls were answered with."""
    sdk.discover()
    sdk.registers(scopes, redirect_uris=[redirect_uri] if redirect_uri else None, **registered)
    sdk.logs_in(scopes, redirect_uri=redirect_uri, resource=resource)
    answers = [sdk.call(*call) for call in calls]
    sdk.revoke()
    return answers


def handshake_of_sdk(kind, agent, context=None, fields=(), prepare=lambda server: None, **way):
    """What the SDK says on the whole way to a server of its own, which has to be content: to compare a daemon's with."""
    with KINDS[kind][0]().open(context) as server:
        prepare(server)
        with Sdk(kind, server, agent, fields) as sdk:
            whole_way(sdk, **way)
        assert not server.refusals, server.refusals
        return handshake_of(server)
