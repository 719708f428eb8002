# Sourced by the launch scripts: where the project and its programs are.

LAUNCH_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PROJECT_DIR=$(dirname "$LAUNCH_DIR")

# Path of a program: the environment KDCN_VENV (the project's own by default) first, then PATH.
find_program() {
    local program=${KDCN_VENV:-$PROJECT_DIR/.venv}/bin/$1
    if [[ ! -x $program ]] && ! program=$(command -v "$1"); then
        echo "$1: neither in ${KDCN_VENV:-$PROJECT_DIR/.venv}/bin nor on PATH; run make quickstart or launch/environment.sh" >&2
        return 69
    fi
    printf '%s\n' "$program"
}
