#!/bin/sh
# A photo described with curl:  examples/caption.sh photo.jpg [http://127.0.0.1:8000]
# The body is the image itself, options stand in the query; --fail-with-body makes a refusal an exit status.
set -eu
curl --silent --show-error --fail-with-body --data-binary "@$1" --header 'Content-Type: application/octet-stream' \
    "${2:-http://127.0.0.1:8000}/v1/caption?beam=5&alternatives=2"
echo
