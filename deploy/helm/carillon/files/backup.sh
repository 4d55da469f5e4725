#!/usr/bin/env bash
# Backs up the four databases as they are at one moment, while everything runs:
#   backup.sh FOLDER      makes FOLDER/TIME, complete as soon as it is there
# Needs bash, psql and a pg_dump no older than the server; databases.sh beside it says how the databases are named.
# KEEP: so many of the newest backups stay (7; 0: all of them).
#
# A moment: four snapshots, taken within milliseconds and then dumped for as long as it takes. tables.tsv has what each
# table held at that moment, counted in the same snapshots: restore.sh holds what it restored against it.
set -euo pipefail
umask 077
# A session that is gone is said so, by whoever asks it.
trap '' PIPE
folder=${1:?the folder for backups}
. "$(dirname "$0")/databases.sh"

name=$(date -u +%Y%m%dT%H%M%SZ)
part=$folder/$name.part
mkdir -p "$part"
pipes=$(mktemp -d)
declare -A to from snapshot
trap 'for fd in "${to[@]}"; do exec {fd}>&-; done; rm -rf "$pipes" "$part"' EXIT

# SERVICE, a line of SQL: answered in $reply, by the session that holds the service's snapshot.
ask() {
  { echo "$2" >&"${to[$1]}" && IFS= read -r reply <&"${from[$1]}"; } || die "the database of $1 does not answer"
}

for service in $services; do
  mkfifo "$pipes/$service.to" "$pipes/$service.from"
  query "$service" <"$pipes/$service.to" >"$pipes/$service.from" &
  exec {fd}>"$pipes/$service.to" && to[$service]=$fd
  exec {fd}<"$pipes/$service.from" && from[$service]=$fd
done
for service in $services; do
  # Idle while it is dumped.
  ask "$service" "SET idle_in_transaction_session_timeout = 0; ${as_text//$'\n'/ } SELECT 1;"
  echo "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;" >&"${to[$service]}"
done
moments=()
for service in $services; do
  ask "$service" "SELECT pg_export_snapshot(), floor(extract(epoch FROM clock_timestamp()) * 1000);"
  snapshot[$service]=${reply%%$'\t'*}
  moments+=("${reply##*$'\t'}")
done
skew=$((moments[-1] - moments[0]))

dumps=()
for service in $services; do
  with_database "$service" pg_dump --format=custom --snapshot="${snapshot[$service]}" --file="$part/$service.dump" \
    --dbname &
  dumps+=($!)
done
for service in $services; do
  { echo "${tables//$'\n'/ }"; echo '\echo'; } >&"${to[$service]}"
done
for service in $services; do
  while IFS= read -r line <&"${from[$service]}" && [ -n "$line" ]; do
    printf '%s\t%s\n' "$service" "$line"
  done
  ask "$service" "SELECT 'counted';"
done >"$part/tables.tsv"
for pid in "${dumps[@]}"; do wait "$pid" || die "a database could not be dumped"; done

{
  # The first of the four, whole seconds: what is later is in none of them.
  echo "moment=$(date -u -d "@$((moments[0] / 1000))" +%Y-%m-%dT%H:%M:%S)"
  echo "skew_ms=$skew"
} >"$part/backup.txt"
(cd "$part" && sha256sum -- *.dump tables.tsv backup.txt >SHA256SUMS)
sync "$part"/* "$part"
mv "$part" "$folder/$name"
echo "$folder/$name: $(du -sh "$folder/$name" | cut -f1), of $(sed -n 's/^moment=//p' "$folder/$name/backup.txt") UTC," \
  "four snapshots within $skew ms"

# What a backup left that was killed.
find "$folder" -mindepth 1 -maxdepth 1 -name '*.part' -mtime +1 -exec rm -rf {} +
keep=${KEEP:-7}
if [ "$keep" -gt 0 ]; then
  find "$folder" -mindepth 1 -maxdepth 1 -type d -name '????????T??????Z' | sort | head -n "-$keep" |
    xargs -r -d '\n' rm -rf
fi
