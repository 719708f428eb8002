#!/usr/bin/env bash
# Builds the knowledge graph: launch/build_ckg.sh [any flag of kdcn build-ckg, any option of Beam]
#
# Without --runner it runs on this machine; launch/dataflow_constraints.txt is for workers elsewhere.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

kdcn=$(find_program kdcn)
exec "$kdcn" build-ckg "$@"
