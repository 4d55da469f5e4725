#!/usr/bin/env bash
# Restores a backup of backup.sh into four databases that are empty, as databases.sql makes them:
#   restore.sh FOLDER/TIME
# Needs bash, psql and a pg_restore no older than the pg_dump was; databases.sh beside it says how the databases are
# named. JOBS: so many connections a database (2). Every table is then held against what was counted when it was backed
# up.
#
# The services' processes are locked out, and let in again by `carillon SERVICE after-restore`: what went on in the world
# after the backup is not in it, and messages would be sent twice.
set -euo pipefail
backup=${1:?the backup: FOLDER/TIME}
. "$(dirname "$0")/databases.sh"

(cd "$backup" && sha256sum --quiet --check SHA256SUMS) || die "$backup is damaged"
# All of them, before any is touched.
for service in $services; do
  found=$(query "$service" <<<"SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace;")
  [ "$found" = 0 ] || die "the database of $service is not empty: it has $found tables and indexes"
done
for service in $services; do
  query "$service" <<<"SELECT format('REVOKE CONNECT ON DATABASE %I FROM ${service}_serve, ${service}_work',
    current_database()) \\gexec"
  with_database "$service" pg_restore --no-owner --role="${service}_owner" --exit-on-error --jobs="${JOBS:-2}" \
    "$backup/$service.dump" --dbname
  # Without a word on each of the server's own tables, which are not the owner's.
  query "$service" <<<"SET client_min_messages = error; ANALYZE;"
done
restored=$(for service in $services; do
  query "$service" <<<"$as_text $tables" | sed "s/^/$service\t/"
done)
diff "$backup/tables.tsv" <(echo "$restored") >&2 || die "tables are not what they were (< backed up, > restored)"

echo "restored as of $(sed -n 's/^moment=//p' "$backup/backup.txt") UTC:" \
  "$(wc -l <"$backup/tables.tsv") tables, $(awk '{ rows += $3 } END { print rows + 0 }' "$backup/tables.tsv") rows"
echo "next, of each service and as its owner: carillon SERVICE migrate, then carillon SERVICE after-restore"
