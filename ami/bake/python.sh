#!/bin/sh
# Optional: Python 3.8 to 3.13 side by side, each with venv and headers; tox finds them by their names.
. /etc/os-release
add_key python "$PYTHON_KEYSERVER/pks/lookup?op=get&search=0x$PYTHON_KEY" "$PYTHON_KEY"
add_source python "$PYTHON_REPO" "$VERSION_CODENAME" main
for version in 3.8 3.9 3.10 3.11 3.12 3.13; do
	retry apt-get install "python$version" "python$version-dev" "python$version-venv"
done
