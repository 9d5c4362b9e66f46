#!/bin/sh
# The dashboard's browser tests against a binary: a demo is loaded and served, tried, and gone afterwards.
#   browser.sh BINARY [PORT]
set -eu
binary=$1
case $binary in */*) binary=$(cd "$(dirname "$binary")" && pwd)/$(basename "$binary") ;; esac
port=${2:-18159}
here=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT INT TERM
# Nobody else comes to the shop: what the tests do there is counted to the last visit.
"$binary" demo --data "$folder/data" --listen "127.0.0.1:$port" --traffic 0 >"$folder/demo.log" 2>"$folder/server.log" &
server=$!
until grep -q '^listening on' "$folder/demo.log"; do
    kill -0 "$server" 2>/dev/null || { cat "$folder/server.log" >&2; exit 1; }
    sleep 0.2
done
cd "$here"
node scripts/openapi.mjs "http://127.0.0.1:$port" --check
EBBTIDE_BINARY=$binary EBBTIDE_URL="http://127.0.0.1:$port" EBBTIDE_DEMO="$folder/demo.log" CHROMIUM="$(command -v chromium)" \
    npm run --silent browser
