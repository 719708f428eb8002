#!/usr/bin/env bash
# The whole chain, from raw logs to a ranked answer:
#
#   launch/run_chain.sh RAW RUN_DIR [--preset=..., --config=..., --set ...]
#
# Writes RUN_DIR/{ckg,ckg_model,embeddings,ctr,kdcn,no_pretraining,evaluation,serving}. The flags go to every
# step that has a configuration. A step whose output is finished is skipped, so the same command goes on after
# an interruption; an unfinished training is resumed, other unfinished output is made anew. Training runs on
# a local cluster of WORKERS workers and SERVERS parameter servers (2 and 2), or with the TF_CONFIG given.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if [[ $# -lt 2 ]]; then
    echo "usage: launch/run_chain.sh RAW RUN_DIR [--preset=..., --config=..., --set ...]" >&2
    exit 2
fi
raw=${1%/} run=${2%/}
flags=("${@:3}")
kdcn=$(find_program kdcn)
saved_model_cli=$(find_program saved_model_cli)
times=()

fail() { # message, exit code
    echo "run_chain: error: $1" >&2
    exit "$2"
}

# What stands in the run's directory that isn't its name tag or its input.
something_in_run() {
    find "$run" -mindepth 1 -maxdepth 1 ! -name chain.txt ! -path "$raw" ! -name '.*' -print -quit
}

# Tells raw data from others that were made in the same place later; of remote data nothing is known here.
content_of_raw() {
    local sum
    [[ -e $raw/manifest.json ]] || return 0
    sum=$(cksum <"$raw/manifest.json")
    printf ' (manifest %s)' "${sum%% *}"
}

# Refuses wrong flags, the outputs of two configurations or of two raw datasets in one directory, and a directory that
# isn't a run's: unfinished steps are removed there.
check_flags() {
    local wanted
    "$kdcn" train-ckg --helpconfig "${flags[@]}" >/dev/null
    [[ $raw == *://* || -e $raw/manifest.json ]] || fail "$raw: no manifest.json; it is not a finished raw dataset" 65
    wanted="raw=$raw$(content_of_raw) ${flags[*]-}"
    mkdir -p "$run" || exit 2
    if [[ -n $(something_in_run) ]]; then
        [[ -e $run/chain.txt ]] || fail "$run: not empty, and not a run's directory; name a fresh one" 2
        [[ $(<"$run/chain.txt") == "$wanted" ]] ||
            fail "$run holds a run of: $(<"$run/chain.txt"); name a fresh directory for: $wanted" 2
    fi
    # The lock is held until this script ends; where there is no flock, two runs in one directory go unnoticed.
    exec 9<"$run"
    ! command -v flock >/dev/null || flock --nonblock 9 || fail "$run: another run is writing to it" 75
    printf '%s\n' "$wanted" >"$run/chain.txt"
}

finished() {
    [[ -e $run/$1/manifest.json ]]
}

# step OUTPUT COMMAND...: runs a command that writes RUN_DIR/OUTPUT, unless it is finished.
step() {
    local output=$1 started=$SECONDS
    shift
    if finished "$output"; then
        echo "== $output: already there"
        return
    fi
    [[ $output == ckg_model || $output == kdcn || $output == no_pretraining ]] || rm -rf "${run:?}/$output"
    echo "== $output"
    "$@" --output="$run/$output"
    times+=("$(printf '%-16s %5d s' "$output" $((SECONDS - started)))")
}

# The SavedModel must have the signatures that clients call.
check_signatures() {
    local shown name
    shown=$("$saved_model_cli" show --dir "$1" --tag_set serve 2>/dev/null)
    for name in serving_default predict rank; do
        if [[ $shown != *"\"$name\""* ]]; then
            echo "run_chain: error: $1 has no signature $name" >&2
            exit 65
        fi
    done
}

latest_version() {
    find "$run/serving" -mindepth 2 -maxdepth 2 -name saved_model.pb -printf '%h\n' 2>/dev/null | sort -V | tail -n 1
}

export_model() {
    local started=$SECONDS
    if [[ -n $(latest_version) ]]; then
        echo "== serving: already there"
        return
    fi
    echo "== serving"
    "$kdcn" export-model --model="$run/kdcn" --ctr="$run/ctr" --ckg="$run/ckg" \
        --evaluation="$run/evaluation" --output="$run/serving"
    check_signatures "$(latest_version)"
    times+=("$(printf '%-16s %5d s' serving $((SECONDS - started)))")
}

check_flags
step ckg "$LAUNCH_DIR/build_ckg.sh" --raw="$raw" "${flags[@]}"
step ckg_model "$LAUNCH_DIR/train_ckg.sh" --ckg="$run/ckg" "${flags[@]}"
step embeddings "$kdcn" export-embeddings --model="$run/ckg_model" --ckg="$run/ckg" --vectors=surrounded
step ctr "$LAUNCH_DIR/build_ctr.sh" --raw="$raw" --ckg="$run/ckg" "${flags[@]}"
step kdcn "$LAUNCH_DIR/train_kdcn.sh" --ctr="$run/ctr" --embeddings="$run/embeddings" "${flags[@]}"
# The same network without the graph's knowledge: what pretraining is worth.
step no_pretraining "$kdcn" train-kdcn --ctr="$run/ctr" --embeddings="$run/embeddings" "${flags[@]}" \
    --set kdcn.pretrained=false
step evaluation "$kdcn" evaluate --ctr="$run/ctr" --model=kdcn="$run/kdcn" \
    --model=no_pretraining="$run/no_pretraining" --baseline=lr --raw="$raw" \
    --ckg="$run/ckg" --slices=category,user_frequency,item_frequency
export_model

echo "== wall-clock time"
[[ ${#times[@]} -eq 0 ]] || printf '   %s\n' "${times[@]}"
printf '   %-16s %5d s\n' total "$SECONDS"
echo "== ranked example"
"$kdcn" rank --model="$run/serving" --raw="$raw"
echo "== metrics: $run/evaluation/metrics.json"
echo "== SavedModel: $(latest_version)"
