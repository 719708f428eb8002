#!/usr/bin/env bash
# Creates or updates the environment in .venv with the versions of constraints.txt.
#
# Does nothing when .venv is newer than setup.py and constraints.txt. Exit code 69 if no usable Python
# is found.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$PROJECT_DIR"

readonly STAMP=.venv/.installed
readonly CANDIDATES=(python3.11 python3.12 python3.10 python3 python)
readonly FITS='import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))'

up_to_date() {
    [[ $STAMP -nt setup.py && $STAMP -nt constraints.txt ]]
}

# A name on PATH proves little: a version manager's shim may have nothing behind it, and some systems
# ship Python without venv or pip. So each candidate is run.
find_python() {
    local name
    for name in "${CANDIDATES[@]}"; do
        if "$name" -c "$FITS" >/dev/null 2>&1 && "$name" -c 'import venv, ensurepip' >/dev/null 2>&1; then
            printf '%s\n' "$name"
            return 0
        fi
    done
    echo "error: no Python 3.10, 3.11 or 3.12 with the venv module was found (looked for: ${CANDIDATES[*]})." >&2
    echo "Install one (on Debian or Ubuntu: apt install python3 python3-venv) and run the command again." >&2
    return 69
}

if up_to_date; then
    exit 0
fi
if ! .venv/bin/python -c "$FITS" >/dev/null 2>&1; then
    python=$(find_python)
    echo "creating .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
fi
echo "installing into .venv; the first time this takes minutes"
.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[training,tests,reports,baselines,tuning,benchmarks]'
touch "$STAMP"
