#!/usr/bin/env bash
# Holds what the bundled packs' server answers against its own OpenAPI document, by schemathesis: made-up requests, good
# and bad, the same ones in every run. Without schemathesis, or the network to install it, this says so and is passed over.
# usage: openapi.sh EBBTIDE_BINARY
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
binary=$1
version=4.32.5
# Outside the clone, and kept between runs.
tools=${EBBTIDE_TEST_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/ebbtide/schemathesis-$version}
schemathesis=$tools/bin/schemathesis

skip() {
    echo "openapi SKIPPED: $1"
    exit 0
}

command -v python3 >/dev/null || skip "python3 is missing"
if ! "$schemathesis" --version >/dev/null 2>&1; then
    python3 -m venv "$tools" >/dev/null 2>&1 || skip "python3 has no venv: install python3-venv"
    "$tools/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version" ||
        skip "schemathesis cannot be installed: pip install schemathesis==$version in $tools"
fi

data=$(mktemp -d)
server=
stop() {
    if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
    rm -rf "$data"
}
trap stop EXIT

export EBBTIDE_JWT_SECRET="a secret of these tests, longer than 32 bytes"
"$binary" demo --data "$data" --listen 127.0.0.1:0 --log error >"$data/said" 2>&1 &
server=$!
url=
for _ in $(seq 600); do
    url=$(sed -n 's/^listening on //p' "$data/said")
    if [ -n "$url" ] && python3 -c "import urllib.request as r; r.urlopen('$url/readyz')" 2>/dev/null; then break; fi
    if ! kill -0 "$server" 2>/dev/null; then cat "$data/said"; exit 1; fi
    sleep 0.1
done

# An admin of the app, who is whom the demo's first token of it is for: so it owns what there is to be owned.
token() {
    # A shop's events are the shop's.
    local tenant=()
    if [ "$1" = storefront ]; then tenant=(--tenant north); fi
    "$binary" token --app "$1" --role admin --sub "$(subject "$1")" "${tenant[@]}"
}

subject() {
    python3 - "$1" "$data/said" <<'PY'
import base64, json, re, sys
app, said = sys.argv[1:]
for claims in re.findall(r"^export \w+=[\w-]+\.([\w-]+)\.", open(said).read(), re.M):
    claims = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    if app in claims["aud"]:
        sys.exit(print(claims.get("sub", "1")))
print("1")
PY
}

# Ends what takes longer than so many seconds, where the system can.
within() {
    if command -v timeout >/dev/null; then timeout "$@"; else shift; "$@"; fi
}

failed=0
run() {
    name=$1 token=$2
    shift 2
    echo "openapi: $name"
    # In the temporary folder, where what it leaves behind goes with it.
    (cd "$data" && within 600 "$schemathesis" --config-file "$here/schemathesis.toml" run "$url/openapi.json" "$@" \
        --header "Authorization: Bearer $token" --continue-on-failure --warnings off --no-color --request-timeout 60 \
        >"$data/$name.log" 2>&1) && sed -n 's/^  \(.* generated.*\)/  \1/p' "$data/$name.log" && return
    sed -n '/= FAILURES =/,$p;/= ERRORS =/,$p' "$data/$name.log" | grep . || cat "$data/$name.log"
    failed=1
}

apps=$(python3 - "$url" <<'PY'
import json, sys, urllib.request
document = json.load(urllib.request.urlopen(sys.argv[1] + "/openapi.json"))
own = {"Questions", "Rows", "Capture", "Write keys", "Tokens", "For operators", "Reference"}
print(*[tag["name"] for tag in document["tags"] if tag["name"] not in own])
PY
)
for app in $apps; do
    run "$app" "$(token "$app")" --include-tag "$app"
done
run server "$(token "${apps%% *}")" --include-tag Questions --include-tag Rows --include-tag "For operators" \
    --include-tag Reference
# A tenant's own admin, who captures, and makes keys and tokens for it.
admin=$("$binary" token --app product --role admin --tenant 1)
run capture "$admin" --include-tag Capture --include-tag "Write keys" --include-tag Tokens
exit "$failed"
