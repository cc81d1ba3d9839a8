-- Who is present, as authd's brokers keep it in a database. Run once in each database, as a superuser:
--
--     psql -d resident -f authd.sql
--     SELECT authd.add_keeper('authd_keeper');     -- one for each host with a broker, each by a name of its own
--     SELECT authd.add('staff_1042');              -- for every member of staff, by what authd.toml calls them
--
-- From then on a member of staff's role may log in only while its person is logged in at a seat. When that ends, what
-- it has open is ended, whichever way it came: through the broker, with a certificate, or with a password that
-- somebody still remembers. Tables that ask for authd.here() show nothing once the broker has been silent for 2 s.
-- PostgreSQL 13 or later. It can be run again; what is there stays.

BEGIN;
SET LOCAL client_min_messages = warning;

CREATE SCHEMA IF NOT EXISTS authd;

DO $$
BEGIN
    IF to_regrole('authd_staff') IS NULL THEN
        CREATE ROLE authd_staff NOLOGIN;       -- what every member of staff's role is in
    END IF;
    IF to_regrole('authd_keepers') IS NULL THEN
        CREATE ROLE authd_keepers NOLOGIN;     -- the brokers' own; they may do nothing but what stands below
    END IF;
END
$$;

-- Unlogged: after a crash of the server nobody is present before a broker has said so again.
CREATE UNLOGGED TABLE IF NOT EXISTS authd.session (
    id      text PRIMARY KEY,
    role    name NOT NULL,
    keeper  name NOT NULL,
    since   timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Nobody but the function below can lock it; an advisory lock could be held by anybody, and a lock at a seat with it.
CREATE TABLE IF NOT EXISTS authd.turn ();

-- Make a broker's role. When it last spoke stands in a sequence, since what that says is seen at once in every snapshot.
CREATE OR REPLACE FUNCTION authd.add_keeper(keeper name) RETURNS void
LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF length(keeper) > 50 THEN
        RAISE EXCEPTION 'the name of a keeper has at most 50 characters';
    END IF;
    IF to_regrole(quote_ident(keeper)) IS NULL THEN
        EXECUTE format('CREATE ROLE %I LOGIN', keeper);
    END IF;
    EXECUTE format('GRANT authd_keepers TO %I', keeper);
    EXECUTE format('CREATE SEQUENCE IF NOT EXISTS authd.%I MINVALUE 0 START 0', 'pulse ' || keeper);
END
$$;

-- Make a role of a member of staff. Nobody knows a password of it, and it may not log in before they do.
CREATE OR REPLACE FUNCTION authd.add(role name) RETURNS void
LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF to_regrole(quote_ident(role)) IS NULL THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN', role);
    END IF;
    EXECUTE format('GRANT authd_staff TO %I', role);
    EXECUTE format('ALTER ROLE %I NOLOGIN', role);
END
$$;

-- Whether a broker has spoken within the last 2 s. By the clock itself: what a statement or a message began at is long ago
-- where a person's own SQL waits in it.
CREATE OR REPLACE FUNCTION authd.spoke(keeper name) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    pulse bigint;
BEGIN
    EXECUTE format('SELECT last_value FROM authd.%I', 'pulse ' || keeper) INTO pulse;
    RETURN pulse > extract(epoch FROM clock_timestamp()) * 1000 - 2000;
END
$$;

-- Roles of staff that may log in and should not, or should and may not.
CREATE OR REPLACE VIEW authd.amiss AS
    SELECT r.rolname AS role, NOT r.rolcanlogin AS may
    FROM pg_catalog.pg_auth_members m
    JOIN pg_catalog.pg_roles r ON r.oid = m.member
    WHERE m.roleid = to_regrole('authd_staff') AND NOT r.rolsuper
        AND r.rolcanlogin <> EXISTS (SELECT FROM authd.session s WHERE s.role = r.rolname);

-- A broker says who is present on its host: {"session": "role"}. A role that is nobody's here is not let in.
CREATE OR REPLACE FUNCTION authd.keep(present jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    staff record;
    ended bigint;
BEGIN
    -- What a lock ends, ends first; the rest is for whoever comes while this is going on (authd.end_others). Whoever
    -- was said to be present by a broker that is silent now is not.
    WITH gone AS (
        DELETE FROM authd.session s
        WHERE CASE WHEN s.keeper = session_user THEN present ->> s.id IS DISTINCT FROM s.role::text
            ELSE NOT authd.spoke(s.keeper) END
        RETURNING s.role
    )
    SELECT count(pg_terminate_backend(a.pid)) INTO ended
        FROM pg_stat_activity a JOIN gone ON a.usename = gone.role;
    INSERT INTO authd.session (id, role, keeper)
        SELECT p.key, r.rolname, session_user
        FROM jsonb_each_text(present) p
        JOIN pg_roles r ON r.rolname = p.value
        JOIN pg_auth_members m ON m.member = r.oid AND m.roleid = 'authd_staff'::regrole
        ON CONFLICT DO NOTHING;
    IF EXISTS (SELECT FROM authd.amiss) THEN
        LOCK TABLE authd.turn IN EXCLUSIVE MODE;    -- two brokers do not alter one role at a time
        FOR staff IN SELECT * FROM authd.amiss LOOP
            EXECUTE format('ALTER ROLE %I %s', staff.role, CASE WHEN staff.may THEN 'LOGIN' ELSE 'NOLOGIN' END);
        END LOOP;
    END IF;
    -- Last: what could not be done to its end is no sign of life.
    PERFORM setval(
        format('authd.%I', 'pulse ' || session_user)::regclass,
        (extract(epoch FROM clock_timestamp()) * 1000)::bigint
    );
END
$$;

-- End whatever a member of staff has open who is not present, or who was not yet when it was opened.
CREATE OR REPLACE FUNCTION authd.end_others() RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT count(*) FILTER (WHERE pg_terminate_backend(a.pid))
    FROM pg_stat_activity a
    JOIN pg_auth_members m ON m.member = a.usesysid AND m.roleid = 'authd_staff'::regrole
    WHERE NOT EXISTS (SELECT FROM authd.session s WHERE s.role = a.usename AND s.since <= a.backend_start)
$$;

-- For policies: USING ((SELECT authd.here())). True while the person whose role this is sits at a seat; else an error,
-- since an empty answer could be taken for one.
CREATE OR REPLACE FUNCTION authd.here() RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM authd.session s WHERE s.role = session_user AND authd.spoke(s.keeper)) THEN
        RETURN true;
    END IF;
    RAISE EXCEPTION USING ERRCODE = '28000',
        MESSAGE = 'この席には誰もログインしていません。読取り装置に触れてから、もう一度操作してください。',
        DETAIL = 'Nobody is logged in at this seat: touch the reader, then try again.';
END
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA authd FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA authd FROM PUBLIC;
GRANT USAGE ON SCHEMA authd TO authd_keepers, authd_staff;
GRANT EXECUTE ON FUNCTION authd.keep(jsonb), authd.end_others() TO authd_keepers;
GRANT EXECUTE ON FUNCTION authd.here() TO authd_staff;

COMMIT;
