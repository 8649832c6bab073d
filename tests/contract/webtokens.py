"""usage: webtokens.py WEBTOKEN SEED: keys made and JSON web tokens verified by Python's cryptography, signed by Mayfly."""

import base64
import json
import pathlib
import random
import subprocess
import sys
import tempfile

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

BITS = [2048, 2056, 3072, 4096]
FORMS = {"PKCS#1": PrivateFormat.TraditionalOpenSSL, "PKCS#8": PrivateFormat.PKCS8}
LINES = {"LF": b"\n", "CRLF": b"\r\n", "as \\n": b"\\n"}
IDS = ["1", "4711", "Iv1.8a61f9b3a7aba766", "Iv23liABCDEFGHIJKLMN"]


def decode(part):
    assert "=" not in part and "+" not in part and "/" not in part, "not base64url"
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def judge(token, key, app_id, now):
    header, claims, signature = token.split(".")
    key.public_key().verify(decode(signature), f"{header}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
    assert json.loads(decode(header)) == {"alg": "RS256", "typ": "JWT"}, header
    assert json.loads(decode(claims)) == {"iat": now - 60, "exp": now + 540, "iss": app_id}, claims


def main(program, seed):
    r = random.Random(seed)
    failed = 0
    with tempfile.TemporaryDirectory() as tmp:
        file = pathlib.Path(tmp, "key.pem")
        for bits in BITS:
            key = rsa.generate_private_key(65537, bits)
            for form, encoding in FORMS.items():
                pem = key.private_bytes(Encoding.PEM, encoding, NoEncryption())
                for lines, end in LINES.items():
                    name = f"a web token by {bits} bits, {form}, {lines}"
                    app_id, now = r.choice(IDS), r.randint(1000, 4102444800)
                    file.write_bytes(pem.replace(b"\n", end))
                    try:
                        run = subprocess.run([program, file, app_id, str(now)], check=True, capture_output=True, text=True)
                        judge(run.stdout.strip(), key, app_id, now)
                        print(f"ok - {name}")
                    except Exception as e:  # InvalidSignature has no words of its own
                        failed += 1
                        print(f"not ok - {name}: seed {seed}: {e!r} {getattr(e, 'stderr', '')}")
    return failed > 0


sys.exit(main(sys.argv[1], int(sys.argv[2])))
