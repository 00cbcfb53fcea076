#!/bin/sh
# Finds a Python to build .venv with and hands over to bootstrap.py. Only sh and a Python are taken for granted.
#
# usage: tools/bootstrap.sh demo|test
set -eu
cd "$(dirname "$0")/.."

if [ -n "${PYTHON:-}" ]; then
    candidates=$PYTHON
else
    candidates="python3.11 python3.12 python3.13 python3.14 python3 python"
fi
for candidate in $candidates; do
    # A version manager's shim exists without the version it names, so asking is the only proof.
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        exec "$candidate" tools/bootstrap.py "$@"
    fi
done
echo "No Python 3.11 or newer found (tried: $candidates)." >&2
echo "Install one (Debian: apt-get install python3), or name it: make PYTHON=/path/to/python3.11 ..." >&2
exit 1
