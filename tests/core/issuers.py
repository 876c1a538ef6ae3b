"""An issuer of JWTs on this machine."""

import http.server
import json
import threading
from typing import Any

ISSUER, AUDIENCE = "https://issuer.example", "opswright-shelf"


class Issuer:
    """A loopback issuer of JWTs: its keys over HTTP, and tokens signed with them."""

    def __init__(self) -> None:
        from fastmcp.server.auth.providers.jwt import RSAKeyPair
        from joserfc.jwk import RSAKey

        self.keys = RSAKeyPair.generate()
        key = RSAKey.import_key(self.keys.public_key)
        jwks = json.dumps({"keys": [{**key.as_dict(private=False), "kid": "k1", "alg": "RS256"}]})

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(jwks.encode())

            def log_message(self, *_: Any) -> None:
                """Be quiet."""

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.uri = f"http://127.0.0.1:{self.server.server_port}/keys"

    def token(self, **claims: Any) -> str:
        chosen = {"issuer": ISSUER, "audience": AUDIENCE, "expires_in_seconds": 600, **claims}
        return self.keys.create_token(subject="bob", kid="k1", **chosen)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
