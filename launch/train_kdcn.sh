#!/usr/bin/env bash
# Trains K-DCN: launch/train_kdcn.sh [any flag of kdcn train-kdcn]
#
# With TF_CONFIG set, this machine takes its role in that cluster. Without it, a cluster of WORKERS and
# SERVERS processes (2 and 2) starts here, and ends with the training.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

kdcn=$(find_program kdcn)
exec "$LAUNCH_DIR/local_cluster.sh" -w "${WORKERS:-2}" -p "${SERVERS:-2}" -- "$kdcn" train-kdcn "$@"
