-- An example: a resident register whose protected records are seen by the support desk alone. Run after authd.sql, as
-- the owner of the tables (never a role of staff: owners and superusers pass by row-level security).
--
-- For everybody else a protected resident is not there: not in a list, a count, a join, an export or an error. Which
-- records are protected is a secret itself, so that no role of staff may read the table that says it.

BEGIN;

DO $$
BEGIN
    IF to_regrole('support_desk') IS NULL THEN
        CREATE ROLE support_desk NOLOGIN;   -- GRANT support_desk TO staff_1042;
    END IF;
END
$$;

CREATE TABLE resident (
    number   text PRIMARY KEY,
    name     text NOT NULL,
    address  text NOT NULL
);

CREATE TABLE protection (
    number   text PRIMARY KEY REFERENCES resident
);

CREATE TABLE seen (
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    who      name NOT NULL DEFAULT session_user,   -- the person's own role, whatever SET ROLE says
    number   text NOT NULL
);

-- Whoever a policy is for may call what it asks, by hand too. So this says of a number what the table itself shows, and not
-- why: of a protected resident the same as of a number that nobody has.
CREATE FUNCTION is_shown(number text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM public.resident r WHERE r.number = $1)
        AND NOT EXISTS (SELECT FROM public.protection p WHERE p.number = $1)
$$;
REVOKE ALL ON FUNCTION is_shown(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION is_shown(text) TO authd_staff;

ALTER TABLE resident ENABLE ROW LEVEL SECURITY;
CREATE POLICY somebody_is_here ON resident AS RESTRICTIVE TO authd_staff USING ((SELECT authd.here()));
CREATE POLICY not_protected ON resident FOR SELECT TO authd_staff USING (is_shown(number));
CREATE POLICY support_desk ON resident FOR SELECT TO support_desk USING (true);

ALTER TABLE seen ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_s_own ON seen FOR INSERT TO authd_staff WITH CHECK (who = session_user AND (SELECT authd.here()));

GRANT SELECT ON resident TO authd_staff;
GRANT INSERT (number) ON seen TO authd_staff;

COMMIT;
