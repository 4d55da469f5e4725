-- The databases and roles of the four services. Safe to repeat; a password given anew is set.
--
-- By a superuser, or a role with CREATEDB and CREATEROLE that is a member of the roles it makes:
--   PASSWORDS_FILE=passwords.json psql -f databases.sql
-- The file is JSON, a password for each of contacts_owner, contacts_serve, contacts_work, segments_owner, …
-- `owner` migrates; `serve` is under row-level security; `work` reads across accounts. Nobody else connects.
\set ON_ERROR_STOP on
\set passwords `cat "$PASSWORDS_FILE"`

CREATE TEMPORARY VIEW services AS SELECT unnest('{contacts,segments,campaigns,gateway}'::text[]) AS service;
CREATE TEMPORARY TABLE logins AS
SELECT service, service || '_' || role AS login, :'passwords'::jsonb ->> (service || '_' || role) AS password
FROM services, unnest('{owner,serve,work}'::text[]) AS role;

SELECT format('DO $$BEGIN RAISE EXCEPTION %L; END$$', 'no password for ' || login)
FROM logins WHERE coalesce(password, '') = '' \gexec
SELECT format('CREATE ROLE %I', login)
FROM logins WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = login) \gexec
SELECT format('ALTER ROLE %I LOGIN PASSWORD %L', login, password) FROM logins \gexec
SELECT format('CREATE DATABASE %I OWNER %I', service, service || '_owner')
FROM services WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = service) \gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', datname)
FROM (SELECT service FROM services UNION VALUES ('postgres'), ('template1')) AS closed (datname) \gexec
SELECT format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO %I, %I', service, service || '_serve', service || '_work')
FROM services \gexec

\connect contacts
ALTER SCHEMA public OWNER TO contacts_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO contacts_serve, contacts_work;
\connect segments
ALTER SCHEMA public OWNER TO segments_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO segments_serve, segments_work;
\connect campaigns
ALTER SCHEMA public OWNER TO campaigns_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO campaigns_serve, campaigns_work;
\connect gateway
ALTER SCHEMA public OWNER TO gateway_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO gateway_serve, gateway_work;
