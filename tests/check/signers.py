"""Keys that sign receipts, made as docs/OPERATIONS.md says."""

import subprocess
from pathlib import Path


def make_signer(folder: Path, name: str, kind: str = "ec") -> tuple[Path, Path]:
    """A signing key (with its certificate), and the certificate alone."""
    key, certificate = folder / f"{name}.pem", folder / f"{name}.crt"
    made = {"ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["rsa:2048"]}[kind]
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", *made, "-nodes", "-days", "36500"),
            *("-subj", f"/CN={name}", "-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    with key.open("ab") as file:
        file.write(certificate.read_bytes())
    return key, certificate
