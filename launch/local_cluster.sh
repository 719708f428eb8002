#!/usr/bin/env bash
# Runs one command as every member of a parameter server cluster on this machine.
#
#   launch/local_cluster.sh [-w WORKERS] [-p SERVERS] [-l LOG_DIR] -- COMMAND [ARGUMENT...]
#
# Each member gets its role in TF_CONFIG. The chief keeps this terminal; workers and parameter servers
# write to LOG_DIR (a temporary directory by default, removed if all goes well) and are stopped when the
# chief ends. The exit code is the chief's, or 69 if a member could not start.
#
# With TF_CONFIG already set, the topology is somebody else's: COMMAND simply runs with it.
set -euo pipefail

usage() {
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}"
}

fail() {
    echo "local_cluster: error: $1" >&2
    exit "${2:-2}"
}

workers=2 servers=2 logs=""
while getopts ":w:p:l:h" flag; do
    case $flag in
        w) workers=$OPTARG ;;
        p) servers=$OPTARG ;;
        l) logs=$OPTARG ;;
        h) usage; exit 0 ;;
        :) fail "-$OPTARG needs a value" ;;
        *) fail "unknown flag -$OPTARG; see -h" ;;
    esac
done
shift $((OPTIND - 1))
[[ $workers =~ ^[1-9][0-9]*$ ]] || fail "-w: expected a number of workers, got '$workers'"
[[ $servers =~ ^[1-9][0-9]*$ ]] || fail "-p: expected a number of parameter servers, got '$servers'"
[[ $# -gt 0 ]] || fail "no command; see -h"
[[ -z ${TF_CONFIG:-} ]] || exec "$@"

readonly GRACE=5                         # seconds between asking a process to stop and killing it
readonly FIRST_PORT=20000 PORTS=12000    # below the range from which systems take ports for outgoing calls

names=() pids=() ports=() up=() ended=()
cluster="" chief="" reaper="" keep_logs=1

listens() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Fills `ports` with $1 different ports that nobody listens on.
pick_ports() {
    local port
    while [[ ${#ports[@]} -lt $1 ]]; do
        port=$((FIRST_PORT + (RANDOM * 32768 + RANDOM) % PORTS))
        [[ " ${ports[*]-} " == *" $port "* ]] || listens "$port" || ports+=("$port")
    done
}

# JSON list of the addresses of $2 members, from the ports after the first $1.
addresses() {
    local port list=""
    for port in "${ports[@]:$1:$2}"; do
        list+="${list:+, }\"127.0.0.1:$port\""
    done
    printf '[%s]' "$list"
}

config_of() {
    printf '{"cluster": %s, "task": {"type": "%s", "index": %d}}' "$cluster" "$1" "$2"
}

start_member() { # role, index, port; then the command
    local role=$1 index=$2 port=$3
    shift 3
    TF_CONFIG=$(config_of "$role" "$index") "$@" >"$logs/$role-$index.log" 2>&1 </dev/null &
    pids+=("$!") names+=("$role-$index") member_ports+=("$port") up+=("") ended+=("")
}

running() {
    kill -0 "$1" 2>/dev/null
}

# Asks the processes to stop, waits GRACE seconds at the most, and kills what is left.
stop() {
    local pid deadline=$((SECONDS + GRACE))
    kill -TERM "$@" 2>/dev/null || true
    for pid in "$@"; do
        while running "$pid" && [[ $SECONDS -lt $deadline ]]; do sleep 0.1; done
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
}

clean_up() {
    local code=$?
    trap - EXIT
    trap '' INT TERM
    stop ${chief:+"$chief"} "${pids[@]}"
    [[ -z $reaper ]] || kill "$reaper" 2>/dev/null || true
    if [[ $code -eq 0 && -z $keep_logs ]]; then
        rm -rf "$logs"
    elif [[ $code -ne 0 ]]; then
        show_failures
        echo "local_cluster: logs of the members are in $logs" >&2
    fi
    exit "$code"
}

show_failures() {
    local i
    for i in "${!pids[@]}"; do
        [[ ${ended[i]:-0} != 0 ]] || continue
        echo "local_cluster: end of the log of ${names[i]} (exit code ${ended[i]}):" >&2
        tail -n 20 "$logs/${names[i]}.log" | sed 's/^/    /' >&2
    done
}

# If this script is killed in a way it cannot catch, its members must not live on.
start_reaper() {
    local parent=$$
    (
        trap '' INT
        while running "$parent"; do sleep 1; done
        kill -KILL "$@" 2>/dev/null
    ) >/dev/null 2>&1 </dev/null &
    reaper=$!
    disown "$reaper"
}

# Notes members that have ended. A worker that is lost after it has served is the chief's to cope with;
# fails only for a member that ended in error before it ever listened.
check_members() {
    local i code
    for i in "${!pids[@]}"; do
        [[ -z ${ended[i]} ]] || continue
        if running "${pids[i]}"; then
            [[ -n ${up[i]} ]] || ! listens "${member_ports[i]}" || up[i]=1
            continue
        fi
        code=0
        wait "${pids[i]}" || code=$?
        ended[i]=$code
        [[ $code -ne 0 ]] || continue
        echo "local_cluster: ${names[i]} ended with exit code $code" >&2
        [[ -n ${up[i]} ]] || return 1
    done
}

# Waits for the chief to end, GRACE seconds at the most; a wrong flag ends every member, and the
# chief's own message is the one to show.
chief_ends_too() {
    local deadline=$((SECONDS + GRACE))
    while running "$chief" && [[ $SECONDS -lt $deadline ]]; do sleep 0.1; done
    ! running "$chief"
}

member_ports=()
if [[ -z $logs ]]; then
    logs=$(mktemp -d "${TMPDIR:-/tmp}/kdcn-cluster.XXXXXX") keep_logs=""
fi
mkdir -p "$logs" || exit 2
pick_ports $((1 + workers + servers))
cluster=$(printf '{"chief": %s, "worker": %s, "ps": %s}' \
    "$(addresses 0 1)" "$(addresses 1 "$workers")" "$(addresses $((1 + workers)) "$servers")")

trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
for ((n = 0; n < servers; n++)); do start_member ps "$n" "${ports[1 + workers + n]}" "$@"; done
for ((n = 0; n < workers; n++)); do start_member worker "$n" "${ports[1 + n]}" "$@"; done
TF_CONFIG=$(config_of chief 0) "$@" <&0 &
chief=$!
start_reaper "$chief" "${pids[@]}"

while running "$chief"; do
    if ! check_members && ! chief_ends_too; then
        exit 69
    fi
    sleep 0.2
done
code=0
wait "$chief" || code=$?
check_members || true
exit "$code"
