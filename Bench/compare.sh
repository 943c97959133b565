#!/usr/bin/env bash
# compare.sh: a short comparison of Brim with the packaged memcached, on this machine.
#
#   Bench/compare.sh BRIM BRIM-BENCH [BENCH-OPTION]...
#
# One server thread each on core 0, the generator on core 1. Each server is started fresh for
# each load, on a free loopback port, and stopped afterwards; Brim's store is fresh, too.
# MEMCACHED names another binary, BRIM_FLAGS other flags for Brim (--no-store, say).
set -euo pipefail

brim=$1
bench=$2
shift 2
memcached=${MEMCACHED:-memcached}
folder=$(dirname "$0")/workloads
memory=${BENCH_MEMORY:-1024}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

if (( $(nproc) < 2 )); then
    echo "compare.sh: two cores are needed, one for the server and one for the generator" >&2
    exit 1
fi

# A port of 20000 to 29999 that nobody listens on now.
free_port() {
    local port
    for _ in {1..100}; do
        port=$(( 20000 + RANDOM % 10000 ))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
    return 1
}

user=()
if (( $(id -u) == 0 )); then
    user=(-u nobody)
    chmod 777 "$scratch"
fi

load() {
    local title=$1
    shift
    local one other
    rm -rf "$scratch/store"
    one=$(free_port)
    other=$(free_port)
    echo
    echo "== $title"
    "$bench" compare --rounds 5 --seconds 2 --warmup 0.5 --cpu 1 --keys 200000 \
        --target "brim=127.0.0.1:$one" \
        --start "brim=taskset -c 0 $brim -l 127.0.0.1 -p $one -t 1 -m $memory \
${BRIM_FLAGS:---store $scratch/store} ${user[*]}" \
        --target "memcached=127.0.0.1:$other" \
        --start "memcached=taskset -c 0 $memcached -l 127.0.0.1 -p $other -U 0 -t 1 \
-m $memory ${user[*]}" \
        "$@" | grep -v '^round '
}

load "get, depth 1" --mix get "$@"
load "get, depth 16" --mix get --depth 16 "$@"
load "set, depth 16" --mix set --depth 16 "$@"
load "get of 50 keys" --workload "$folder/multiget.txt" --keys 200000 "$@"
load "95 % get, zipf" --workload "$folder/get-heavy.txt" --keys 200000 "$@"
