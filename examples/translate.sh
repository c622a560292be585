#!/bin/sh
# A sentence translated with curl:  examples/translate.sh 'A dog runs.' de [http://127.0.0.1:8000]
# The sentence goes through python's JSON, so that quotes in it stay quotes.
set -eu
python3 -c 'import json, sys; print(json.dumps({"text": sys.argv[1], "to": sys.argv[2]}))' "$1" "$2" |
    curl --silent --show-error --fail-with-body --data-binary @- --header 'Content-Type: application/json' \
        "${3:-http://127.0.0.1:8000}/v1/translate"
echo
