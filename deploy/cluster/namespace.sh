#!/bin/sh
# Makes the namespace and the search attributes on the server at TEMPORAL_ADDRESS; harmless when
# they are there. Runs wherever there is the program `temporal`.
set -eu
namespace=${TEMPORAL_NAMESPACE:-default}

# Its port is open before it serves.
tries=60
until temporal operator cluster health >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || { echo "The server at ${TEMPORAL_ADDRESS:-} does not serve." >&2; exit 1; }
    sleep 1
done

temporal operator namespace describe --namespace "$namespace" >/dev/null 2>&1 \
    || temporal operator namespace create --namespace "$namespace" --retention 30d

# The server reads its list of namespaces now and then: a new one is not known at once.
tries=60
until temporal operator search-attribute list --namespace "$namespace" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || { echo "The server does not know its namespace $namespace." >&2; exit 1; }
    sleep 1
done

for name in Pattern UserId Phase; do
    temporal operator search-attribute list --namespace "$namespace" | grep -qw "$name" \
        || temporal operator search-attribute create --namespace "$namespace" \
            --name "$name" --type Keyword
done
