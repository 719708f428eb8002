#!/usr/bin/env bash
# Builds the click examples: launch/build_ctr.sh [any flag of kdcn build-ctr, any option of Beam]
#
# Without --runner it runs on this machine; launch/dataflow_constraints.txt is for workers elsewhere.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

kdcn=$(find_program kdcn)
exec "$kdcn" build-ctr "$@"
