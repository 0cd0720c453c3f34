"""A certificate authority for one run, and the upstream's certificate: P-256, made by the openssl command."""

import subprocess


class Authority:
    """`path` is the PEM file that trusts it; `certificate` and `key` are for localhost and 127.0.0.1."""

    def __init__(self, directory):
        self.path = directory / "authority.pem"
        self.certificate = directory / "upstream.pem"
        self.key = directory / "upstream.key"
        secret, request, names = directory / "authority.key", directory / "upstream.csr", directory / "names"
        fresh = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-batch"]
        self._openssl("req", "-x509", "-days", "2", *fresh, "-subj", "/CN=Benchmark CA", "-keyout", secret, "-out", self.path)
        self._openssl("req", *fresh, "-subj", "/CN=localhost", "-keyout", self.key, "-out", request)
        names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:false\n")
        self._openssl("x509", "-req", "-in", request, "-CA", self.path, "-CAkey", secret, "-CAcreateserial", "-days", "2",
                      "-extfile", names, "-out", self.certificate)

    @staticmethod
    def _openssl(*arguments):
        done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"openssl {arguments[0]}: {done.stderr}")
