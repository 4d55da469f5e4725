# For backup.sh and restore.sh: the four databases, and how they are reached.
# CARILLON_CONTACTS_DATABASE_URL and so on name each of them, as its owner or a superuser; PGSSLMODE and PGSSLROOTCERT
# say what libpq should know besides.

# Whoever hears of others comes before them, so that nothing is known in one backup that its source does not know.
services="gateway segments contacts campaigns"
# Rows as text must not depend on where they are read.
as_text="SET timezone = 'UTC'; SET datestyle = 'ISO, MDY'; SET intervalstyle = 'postgres'; SET bytea_output = 'hex';
SET extra_float_digits = 1;"
# A query for each table: its name, its rows, and a sum over them that does not depend on their order.
tables="SELECT format('SELECT %L, count(*), coalesce(sum((''x'' || left(md5(ROW(this.*)::text), 16))::bit(64)::bigint::numeric), 0)
  FROM public.%I AS this', relname, relname)
FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname COLLATE \"C\" \\gexec"

die() { echo "$0: $*" >&2; exit 1; }

# SERVICE, then a command of Postgres', which gets the database as its last argument. Passwords are in no argument.
with_database() {
  local name=CARILLON_${1^^}_DATABASE_URL url password
  url=${!name:?names the database of $1}
  shift
  if [[ $url =~ ^(postgres(ql)?://[^:/@]+):([^@/]*)@(.*)$ ]]; then
    printf -v password %b "${BASH_REMATCH[3]//%/\\x}"
    PGPASSWORD=$password "$@" "${BASH_REMATCH[1]}@${BASH_REMATCH[4]}"
  else
    "$@" "$url"
  fi
}

# SERVICE, with SQL on standard input: what it answers, a row a line with columns parted by tabs.
query() {
  with_database "$1" psql --no-psqlrc --quiet --no-align --tuples-only --field-separator=$'\t' \
    --set ON_ERROR_STOP=1 --dbname
}
