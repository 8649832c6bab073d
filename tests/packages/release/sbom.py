#!/usr/bin/env python3
"""The bill of materials of a release, in SPDX 2.3: the source, what was made of it, the libraries and their licences.

usage: sbom.py [--static DIR] TARBALL PROGRAM [FILE…] >mayfly-VERSION.spdx.json

TARBALL is what `make dist` made, PROGRAM a mayfly that runs here, built of it: its --version names the libraries. FILEs
are further things that were made of the tarball. --static: DIR is build/static of tests/packages/release/static.sh; then
PROGRAM and the FILEs but packages are linked with the libraries that DIR/sources tells of.
"""

import argparse
import datetime
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile

# As `mayfly --version` calls it: Debian's source package and the licence.
LIBRARIES = {
    "libcurl": ("curl", "curl"),
    "OpenSSL": ("openssl", "Apache-2.0"),
    "libxml2": ("libxml2", "MIT"),
    "json-c": ("json-c", "MIT"),
    "zlib": ("zlib", "Zlib"),
    "musl": ("musl", "MIT"),
}


def die(message):
    sys.exit(f"sbom.py: {message}")


def sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def ask(program):
    """(version, commit or "", [(library, version)]) of a program."""
    lines = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout.splitlines()
    first = re.fullmatch(r"mayfly (\S+)(?: \((\S+)\))?", lines[0])
    if not first:
        die(f"{program} is not a mayfly: {lines[0]}")
    return first[1], first[2] or "", [tuple(line.split()[:2]) for line in lines[1:]]


def read_tarball(path):
    """(name and version as the folder in it has them, commit or "", its newest time)."""
    with tarfile.open(path) as tar:
        members = tar.getmembers()
        top = members[0].name.split("/")[0]
        commit = tar.extractfile(f"{top}/src/commit").read().decode().strip()
        return top, commit, max(m.mtime for m in members)


def package(ident, name, version, licence, **more):
    return {
        "SPDXID": f"SPDXRef-{ident}",
        "name": name,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": licence,
        "licenseDeclared": licence,
        "copyrightText": "NOASSERTION",
    } | more


def purl(locator):
    return [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": locator}]


def made(path, purpose):
    """What a package says that is a file."""
    checksums = [{"algorithm": "SHA256", "checksumValue": sha256(path)}]
    return {"packageFileName": os.path.basename(path), "checksums": checksums, "primaryPackagePurpose": purpose}


def library_package(name, version, static):
    if name not in LIBRARIES:
        die(f"the licence of {name} is not known: add it to LIBRARIES")
    source, licence = LIBRARIES[name]
    refs = {}
    if static:
        packed = (static / "sources" / f"{source}.version").read_text().strip()
        # A version of Debian's is the upstream's and what was done to it; its epoch is not part of a name.
        refs["externalRefs"] = purl(f"pkg:deb/debian/{source}@{packed.replace('+', '%2B').replace(':', '%3A')}?arch=source")
        refs["sourceInfo"] = f"built of Debian's source package {source} {packed}"
    return package(f"Library-{name}", name, version, licence, primaryPackagePurpose="LIBRARY", **refs)


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--static", type=pathlib.Path)
    for name, count in ("tarball", None), ("program", None), ("files", "*"):
        parser.add_argument(name, nargs=count)
    args = parser.parse_args()
    version, commit, libraries = ask(args.program)
    top, packed, newest = read_tarball(args.tarball)
    if top != f"mayfly-{version}" or packed != commit:
        die(f"{args.program} is {version} of commit {commit or 'unknown'}, the tarball {top} of {packed or 'unknown'}")
    if args.static:
        musl = (args.static / "sources" / "musl.version").read_text().strip()
        libraries.append(("musl", re.match(r"[^-+~]*", musl)[0]))

    source = package("Source", "mayfly", version, "Apache-2.0", **made(args.tarball, "SOURCE"))
    source["externalRefs"] = purl(f"pkg:generic/mayfly@{version}")
    if commit:
        source["sourceInfo"] = f"commit {commit}"
    packages = [source] + [library_package(name, number, args.static) for name, number in libraries]
    relations = [("DOCUMENT", "DESCRIBES", "Source")]
    if not args.static:
        relations += [("Source", "DEPENDS_ON", f"Library-{name}") for name, _ in libraries]
    for path in ([args.program] if args.static else []) + args.files:
        name = os.path.basename(path)
        ident = "File-" + re.sub(r"[^A-Za-z0-9.-]", "-", name)
        linked = [library for library, _ in libraries] if args.static and not name.endswith(".deb") else []
        licence = " AND ".join(sorted({"Apache-2.0"} | {LIBRARIES[library][1] for library in linked}))
        packages.append(package(ident, name, version, licence, **made(path, "APPLICATION")))
        relations.append(("DOCUMENT", "DESCRIBES", ident))
        relations.append((ident, "GENERATED_FROM", "Source"))
        relations += [(ident, "STATIC_LINK", f"Library-{library}") for library in linked]

    # Of the day of the source, so that the same gives the same.
    made_at = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", newest)), datetime.timezone.utc)
    identity = hashlib.sha256(json.dumps(packages).encode()).hexdigest()[:32]
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"mayfly-{version}",
        "documentNamespace": f"https://spdx.org/spdxdocs/mayfly-{version}-{identity}",
        "creationInfo": {
            "created": made_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": [f"Tool: mayfly-sbom-{version}"],
        },
        "packages": packages,
        "relationships": [
            {"spdxElementId": f"SPDXRef-{a}", "relationshipType": kind, "relatedSpdxElement": f"SPDXRef-{b}"}
            for a, kind, b in relations
        ],
    }
    json.dump(document, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
