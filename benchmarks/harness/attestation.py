"""The ES256 attestation of each request: a connector that mints it, a judge of it, and what OpenSSL itself says a signature costs."""

import base64
import json
import re
import subprocess

from .machine import pinned

CLIENT = "benchmark"
CONNECTOR = {
    "connector": "es256",
    "secrets": {"client": {"about": "client id"}, "key": {"about": "P-256 private key, PEM"}},
    "values": {
        "head": '{"alg":"ES256","typ":"JWT"}',
        "claims": '{"iss":${json_string(secret.client)},"aud":${json_string(host)},"iat":${now},"exp":${add(now, 60)},"jti":"${uuid}"}',
        "input": "${base64url(head)}.${base64url(claims)}",
    },
    "set": {"headers": {"Authorization": "Bearer ${input}.${base64url(es256(secret.key, input))}"}},
}


class Key:
    """A P-256 key in `path`, made by the openssl command."""

    def __init__(self, path):
        self.path = path
        self._openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)
        self._openssl("pkey", "-in", path, "-pubout", "-out", path.with_suffix(".pub"))

    @property
    def pem(self):
        return self.path.read_text()

    def made(self, authorization, audience):
        """Whether that is a token with the right claims and this key's signature, by another judge than the daemon."""
        parts = authorization.removeprefix("Bearer ").split(".")
        if not authorization.startswith("Bearer ") or len(parts) != 3:
            return False
        head, claims, raw = (base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in parts)
        told = json.loads(claims)
        if json.loads(head) != {"alg": "ES256", "typ": "JWT"} or len(raw) != 64 or not told.get("jti"):
            return False
        if (told["iss"], told["aud"], told["exp"] - told["iat"]) != (CLIENT, audience, 60):
            return False
        signature = self.path.with_suffix(".sig")
        signature.write_bytes(der(raw))
        done = subprocess.run(
            ["openssl", "dgst", "-sha256", "-verify", self.path.with_suffix(".pub"), "-signature", signature],
            input=".".join(parts[:2]).encode(), capture_output=True)
        return done.returncode == 0

    @staticmethod
    def _openssl(*arguments):
        done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"openssl {arguments[0]}: {done.stderr}")


def der(raw):
    """A signature of 64 bytes in the form that the openssl command reads."""
    numbers = b""
    for half in raw[:32], raw[32:]:
        number = half.lstrip(b"\0") or b"\0"
        if number[0] >= 0x80:
            number = b"\0" + number
        numbers += bytes([2, len(number)]) + number
    return bytes([0x30, len(numbers)]) + numbers


def speed(cores):
    """What one P-256 signature and one verification take by `openssl speed`, in µs of CPU: {sign_us, verify_us}."""
    done = subprocess.run(["openssl", "speed", "-seconds", "1", "ecdsap256"], capture_output=True, text=True, timeout=60,
                          preexec_fn=pinned(cores))
    found = re.search(r"256 bits ecdsa \(nistp256\) .* ([\d.]+) +([\d.]+)$", done.stdout, re.MULTILINE)
    if not found:
        raise RuntimeError(f"openssl speed: {done.returncode}: {done.stdout[-500:]} {done.stderr[-500:]}")
    return {"sign_us": 1e6 / float(found[1]), "verify_us": 1e6 / float(found[2])}
