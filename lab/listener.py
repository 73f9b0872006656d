"""The certificate of Pebble's own HTTPS."""

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lab import files, paths
from lab.network import GATEWAY
from lab.services import LISTENER_CERTIFICATE, LISTENER_KEY


def make_certificate() -> None:
    """A CA and one certificate for Pebble's own HTTPS, made once; the CA's key is never stored."""
    made = (paths.ACME_CA, LISTENER_CERTIFICATE, LISTENER_KEY)
    if all(path.exists() for path in made):
        return
    ca_key = ec.generate_private_key(ec.SECP256R1())
    key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Slipway lab: ACME listener CA")])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Slipway lab: ACME listener")])
    # Wide limits: tests turn the clock of a droplet by months.
    now = datetime.datetime.now(datetime.UTC)
    begin, end = now - datetime.timedelta(days=730), now + datetime.timedelta(days=3650)
    identifier = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    ca = (
        x509.CertificateBuilder()
        .subject_name(ca_name)
        .issuer_name(ca_name)
        .public_key(ca_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(identifier, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    leaf = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(ca_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.IPv4Address(GATEWAY))]),
            critical=False,
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
            critical=False,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    files.write(LISTENER_KEY, secret, mode=0o600)
    files.write(LISTENER_CERTIFICATE, leaf.public_bytes(pem).decode())
    files.write(paths.ACME_CA, ca.public_bytes(pem).decode())
