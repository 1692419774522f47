#!/bin/sh
# Writes the manifests of the workers of one version, which run beside those of others:
#   sh deploy/kubernetes/version.sh v2 registry.example.com/durable-agents:v2 \
#       | kubectl apply --namespace=durable-agents --filename=-
# docs/operations.md says how the version before goes.
set -eu
export LC_ALL=C

usage() {
    echo "$1 Usage: sh version.sh VERSION IMAGE" >&2
    exit 2
}

[ $# -eq 2 ] || usage "It takes a version and an image."
case $1 in
    '' | [!a-z0-9]* | *[!a-z0-9]) usage "A version begins and ends with a small letter or a digit." ;;
    *[!a-z0-9.-]*) usage "A version has small letters, digits, dots and hyphens only." ;;
esac
[ ${#1} -le 40 ] || usage "A version has 40 characters at most."

# A pod's name is its host's name, too, and that has no dots.
awk -v version="$1" -v image="$2" '
    BEGIN { suffix = version; gsub(/\./, "-", suffix) }
    /worker-[a-z]+$/ { $0 = $0 "-" suffix }
    / image: durable-agents$/ { $0 = substr($0, 1, length($0) - length("durable-agents")) image }
    / envFrom:$/ {
        indent = substr($0, 1, index($0, "envFrom") - 1)
        print indent "env:"
        print indent "  - name: WORKER_BUILD_ID"
        print indent "    value: \"" version "\""
    }
    { print }
' "$(dirname "$0")/workers.yaml"
