"""A second judge of a signed package: the Python package signify, which shares no code
with what signed it. Usage: judge.py PACKAGE; prints one line for each verdict."""

import pathlib
import re
import sys

# The library that signify's cryptography comes from, oscrypto 1.3.0, reads the version of
# OpenSSL by a pattern that knows no two-digit numbers such as 3.0.19.
NARROW = "\\b(\\d\\.\\d\\.\\d[a-z]*)\\b"
WIDE = "\\b(\\d+\\.\\d+\\.\\d+[a-z]*)\\b"
search = re.search
re.search = lambda pattern, *rest, **more: search(
    WIDE if pattern == NARROW else pattern, *rest, **more
)

from signify.authenticode import AuthenticodeFile  # noqa: E402
from signify.x509 import Certificate, CertificateStore  # noqa: E402

package = pathlib.Path(sys.argv[1])
roots = [Certificate.from_der(path.read_bytes()) for path in package.glob("*-root.cer")]
store = CertificateStore(roots, trusted=True)


def judge(path, catalog=None):
    with path.open("rb") as stream:
        file = AuthenticodeFile.from_stream(stream, allow_flat=catalog is not None)
        kinds = "embedded"
        if catalog is not None:
            file.add_catalog(catalog.open("rb"))
            kinds = "catalog"
        done = file.verify(
            multi_verify_mode="all",
            signature_types=kinds,
            trusted_certificate_store=store,
        )
        assert len(done) == 1, done
    by = f" in {catalog.name}" if catalog is not None else ""
    print(f"ok {path.relative_to(package).as_posix()}{by}")


images = [*package.rglob("*.sys"), *package.rglob("*.dll")]
for image in images:
    if "symbols" not in image.parts:
        judge(image)
for inf in package.glob("*.inf"):
    catalog = inf.with_suffix(".cat")
    judge(inf, catalog)
    text = inf.read_bytes().decode("utf-16" if inf.read_bytes()[:2] == b"\xff\xfe" else "utf-8")
    for image in images:
        if re.search(rf"^{re.escape(image.name)}\s*=\s*1,{image.parent.name}", text, re.M):
            judge(image, catalog)
