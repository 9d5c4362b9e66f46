#!/usr/bin/env bash
# Runs every published data set of the packs that are built, in each of the kit's ways.
# usage: conformance.sh KIT_FOLDER EBBTIDE_BINARY
set -euo pipefail
kit=$1 binary=$2
packs=itsm,chatbot,loyalty,storefront,learning

# Ends what takes longer than so many seconds, where the system can.
within() {
    if command -v timeout >/dev/null; then timeout "$@"; else shift; "$@"; fi
}

for dataset in "$kit"/datasets/*/; do
    for way in "--via files" "--via http" "--via files --restart" "--via http --restart --twice"; do
        echo "conformance: $(basename "$dataset"), $packs, $way"
        # shellcheck disable=SC2086 # the way is a list of options
        within 600 python3 "$kit/run.py" --bin "$binary" --dataset "$dataset" --packs "$packs" $way
    done
done

# The kit's SQL for window_funnel stops at a filter without a value, so those cases are the engine's own tests.
kinds=funnel,retention,lifecycle,stickiness,trend,paths
echo "conformance: cases of the query language, $kinds"
within 600 python3 "$kit/engine/run.py" "$binary" --kind "$kinds"
