CREATE FUNCTION instr(text, text) RETURNS integer
    LANGUAGE sql IMMUTABLE
    AS $_$SELECT strpos($1, $2)$_$;
CREATE FUNCTION microseconds_now() RETURNS bigint
    LANGUAGE sql
    AS $$
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT
$$;
CREATE FUNCTION settle_counters(how text, given bigint, keys bytea[], binding text[], forgotten boolean[], spacings bigint[], rooms bigint[], firsts bigint[], longests bigint[], OUT wait integer, OUT told boolean, OUT dry integer) RETURNS record
    LANGUAGE plpgsql
    AS $$
DECLARE
    moment BIGINT := coalesce(given, microseconds_now());
    silent BOOLEAN;
    found INTEGER;
BEGIN
    told := FALSE;
    FOR turn IN 1..2 LOOP
        SELECT least(c.full_at - moment - a.room, a.longest), a.place - 1 INTO wait, dry
            FROM unnest(keys, binding, rooms, longests) WITH ORDINALITY AS a (key, binds, room, longest, place)
            JOIN counters c ON c.key = a.key AND c.kept_until > moment
            WHERE a.binds = 'openly' AND c.full_at - moment > a.room
            ORDER BY 1 DESC LIMIT 1;
        wait := ceil(coalesce(wait, 0) / 1000000.0);
        dry := coalesce(dry, -1);
        IF how = 'look' OR wait > 0 THEN
            RETURN;
        END IF;
        IF how = 'matched' THEN
            SELECT EXISTS (
                SELECT FROM unnest(keys, binding, rooms) AS a (key, binds, room)
                JOIN counters c ON c.key = a.key AND c.kept_until > moment
                WHERE a.binds = 'silently' AND c.full_at - moment > a.room
            ) INTO silent;
            IF NOT silent THEN
                DELETE FROM counters WHERE key IN (
                    SELECT c.key FROM unnest(keys, forgotten) AS a (key, goes) JOIN counters c ON c.key = a.key
                    WHERE a.goes ORDER BY c.key FOR UPDATE OF c
                );
                told := TRUE;
                RETURN;
            END IF;
        END IF;
        IF turn = 1 THEN
            INSERT INTO counters SELECT a.key, 0, 0, 0 FROM unnest(keys) AS a (key) ORDER BY a.key
                ON CONFLICT DO NOTHING;
            PERFORM FROM counters c WHERE c.key = ANY (keys) ORDER BY c.key FOR UPDATE;
            -- One that went between the two statements may be back under somebody else's lock: begin again.
            GET DIAGNOSTICS found = ROW_COUNT;
            IF found < (SELECT count(DISTINCT key) FROM unnest(keys) AS a (key)) THEN
                RAISE EXCEPTION 'a counter went' USING ERRCODE = 'serialization_failure';
            END IF;
            moment := coalesce(given, microseconds_now());
        END IF;
    END LOOP;
    UPDATE counters SET full_at = new.full_at, strikes = new.strikes,
        kept_until = new.full_at + CASE WHEN new.strikes > 0 THEN new.longest ELSE 0 END
    FROM (
        SELECT filled.key, filled.longest, filled.strikes, CASE
            WHEN filled.full_at - moment > filled.room THEN moment + filled.room
                + least(filled.first * power(2::FLOAT8, least(filled.strikes - 1, 40)), filled.longest)::BIGINT
            ELSE filled.full_at END AS full_at
        FROM (
            SELECT a.key, a.room, a.first, a.longest,
                greatest(was.full_at, moment) + a.spacing AS full_at,
                was.strikes + (greatest(was.full_at, moment) + a.spacing - moment > a.room)::INTEGER AS strikes
            FROM unnest(keys, spacings, rooms, firsts, longests) AS a (key, spacing, room, first, longest)
            JOIN counters c ON c.key = a.key
            CROSS JOIN LATERAL (
                SELECT CASE WHEN c.kept_until > moment THEN c.full_at ELSE moment END AS full_at,
                    CASE WHEN c.kept_until > moment THEN c.strikes ELSE 0 END AS strikes
            ) AS was
            WHERE was.full_at - moment <= a.room
        ) AS filled
    ) AS new
    WHERE counters.key = new.key;
END
$$;
CREATE FUNCTION watchword_log_moved() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  PERFORM pg_notify('watchword_log', '');
  RETURN NULL;
END $$;
CREATE TABLE apis (
    audience text NOT NULL COLLATE pg_catalog."C",
    scope text NOT NULL,
    built_in boolean NOT NULL,
    created_at bigint NOT NULL,
    encryption_jwk text
);
CREATE TABLE clients (
    id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    floor bigint NOT NULL,
    disabled boolean NOT NULL,
    created_at bigint NOT NULL
);
CREATE UNLOGGED TABLE counters (
    key bytea NOT NULL,
    full_at bigint NOT NULL,
    strikes integer NOT NULL,
    kept_until bigint NOT NULL
);
CREATE TABLE events (
    id bigint NOT NULL,
    at bigint NOT NULL,
    type text NOT NULL COLLATE pg_catalog."C",
    actor text NOT NULL,
    user_id text,
    session_id text,
    client_id text,
    address text,
    user_agent text,
    detail text NOT NULL
);
ALTER TABLE events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE head (
    "only" bigint NOT NULL,
    epoch bigint NOT NULL,
    sequence bigint NOT NULL,
    base bigint NOT NULL,
    longest_life bigint NOT NULL,
    lower_life bigint,
    lower_at bigint,
    oldest_epoch bigint DEFAULT 0 NOT NULL,
    CONSTRAINT head_only_check CHECK (("only" = 1))
);
CREATE TABLE meta (
    name text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL
);
CREATE TABLE one_time (
    digest bytea NOT NULL,
    purpose text NOT NULL,
    subject text,
    expires_at bigint NOT NULL
);
CREATE TABLE password_resets (
    user_id text NOT NULL COLLATE pg_catalog."C",
    digest bytea,
    expires_at bigint NOT NULL,
    full_at bigint NOT NULL
);
CREATE TABLE revocations (
    sequence bigint NOT NULL,
    kind text NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    owner text,
    body text NOT NULL,
    expires_at bigint NOT NULL
);
CREATE TABLE roles (
    name text NOT NULL COLLATE pg_catalog."C",
    scope text NOT NULL,
    built_in boolean NOT NULL
);
CREATE TABLE schema_migrations (
    number integer NOT NULL,
    word text NOT NULL,
    applied_at bigint NOT NULL
);
CREATE TABLE sessions (
    n bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    user_id text NOT NULL COLLATE pg_catalog."C",
    client_id text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    epoch bigint NOT NULL,
    counter bigint NOT NULL,
    secret_digest bytea NOT NULL,
    audience text NOT NULL COLLATE pg_catalog."C",
    scope text,
    amr text NOT NULL,
    auth_time bigint NOT NULL,
    device text,
    address text,
    user_agent text,
    created_at bigint NOT NULL,
    last_used_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    idle_expires_at bigint NOT NULL,
    token_expires_at bigint NOT NULL,
    spent_1 bigint,
    spent_2 bigint,
    spent_3 bigint,
    spent_4 bigint,
    spent_address text,
    ended_at bigint,
    end_reason text,
    basic_jti text,
    basic_expires_at bigint,
    kind text DEFAULT 'login'::text NOT NULL,
    public_key text
)
WITH (fillfactor='80');
ALTER TABLE sessions ALTER COLUMN n ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME sessions_n_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE signing_keys (
    kid text NOT NULL COLLATE pg_catalog."C",
    purpose text NOT NULL,
    algorithm text NOT NULL,
    state text NOT NULL,
    public_jwk text NOT NULL,
    sealed bytea NOT NULL,
    created_at bigint NOT NULL,
    active_at bigint,
    retired_at bigint,
    gone_at bigint,
    audience text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT signing_keys_purpose_check CHECK ((purpose = ANY (ARRAY['token'::text, 'feed'::text]))),
    CONSTRAINT signing_keys_state_check CHECK ((state = ANY (ARRAY['next'::text, 'active'::text, 'retired'::text, 'compromised'::text])))
);
CREATE TABLE users (
    n bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    email text NOT NULL,
    email_key text NOT NULL COLLATE pg_catalog."C",
    username text,
    username_key text COLLATE pg_catalog."C",
    name text,
    roles text NOT NULL,
    password_digest text,
    email_verified boolean NOT NULL,
    banned boolean NOT NULL,
    ban_reason text,
    banned_until bigint,
    version bigint NOT NULL,
    floor bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    last_login_at bigint,
    name_key text
);
ALTER TABLE users ALTER COLUMN n ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME users_n_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
INSERT INTO apis VALUES ('api', '', true, 1893499200000, NULL);
INSERT INTO apis VALUES ('billing', 'bills:read', false, 1893499200000, NULL);
INSERT INTO clients VALUES ('cli_first_party', 'First-party log-ins', 1893499200000, 0, false, 1893499200000);
INSERT INTO events OVERRIDING SYSTEM VALUE VALUES (1, 1893499200000, 'api.added', 'system', NULL, NULL, NULL, NULL, NULL, '{"audience":"api","scope":[]}');
INSERT INTO events OVERRIDING SYSTEM VALUE VALUES (2, 1893499200000, 'key.added', 'system', NULL, NULL, NULL, NULL, NULL, '{"kid":"-5ikvTqfk5MdJw5nMfIdVHMH7iPq4G296Kc2NQjat0E","purpose":"token","state":"active"}');
INSERT INTO events OVERRIDING SYSTEM VALUE VALUES (3, 1893499200000, 'key.added', 'system', NULL, NULL, NULL, NULL, NULL, '{"kid":"IWLxpuHGuYGLcBAUxtSZOkDKQyMUJjr00uWeRnrObsQ","purpose":"token","state":"next"}');
INSERT INTO events OVERRIDING SYSTEM VALUE VALUES (4, 1893499200000, 'key.added', 'system', NULL, NULL, NULL, NULL, NULL, '{"kid":"cpJgoVldqfA6dPcDCP6Rro482xMWWM5j5TVR3k7PXhw","purpose":"feed","state":"active"}');
INSERT INTO events OVERRIDING SYSTEM VALUE VALUES (5, 1893499200000, 'key.added', 'system', NULL, NULL, NULL, NULL, NULL, '{"kid":"YFY4IJDz-jNLyeRlXChxvecHn0xtM-Raiz6ScL0C-J0","purpose":"feed","state":"next"}');
INSERT INTO events OVERRIDING SYSTEM VALUE VALUES (6, 1893499200000, 'user.created', 'system', 'usr_G8dJ_AfZapAIVr-KuKx8PQ', NULL, NULL, NULL, NULL, '{"roles":["user","admin"]}');
INSERT INTO events OVERRIDING SYSTEM VALUE VALUES (7, 1893499200000, 'session.opened', 'anonymous', 'usr_G8dJ_AfZapAIVr-KuKx8PQ', 'ses_AbjdWOIA0zo0vnVT3hLF0w', 'cli_first_party', '192.0.2.1', 'python-httpx2/2.16.2', '{}');
INSERT INTO events OVERRIDING SYSTEM VALUE VALUES (8, 1893499200000, 'user.created', 'system', 'usr_v-O5KqnmugqEo4n5J2tgoQ', NULL, NULL, NULL, NULL, '{"roles":["user"]}');
INSERT INTO events OVERRIDING SYSTEM VALUE VALUES (9, 1893499200000, 'session.opened', 'anonymous', 'usr_v-O5KqnmugqEo4n5J2tgoQ', 'ses_AbjdWOIAAOUKUrmWrE5w4A', 'cli_first_party', '192.0.2.1', 'python-httpx2/2.16.2', '{}');
INSERT INTO events OVERRIDING SYSTEM VALUE VALUES (10, 1893499200000, 'user.created', 'system', 'usr_1tUTql5XwHqM8hsv8pyBtQ', NULL, NULL, NULL, NULL, '{"roles":["user"]}');
INSERT INTO events OVERRIDING SYSTEM VALUE VALUES (11, 1893499200000, 'session.opened', 'anonymous', 'usr_1tUTql5XwHqM8hsv8pyBtQ', 'ses_AbjdWOIAYTX7VcXvtetgAQ', 'cli_first_party', '192.0.2.1', 'python-httpx2/2.16.2', '{}');
INSERT INTO events OVERRIDING SYSTEM VALUE VALUES (12, 1893499200000, 'user.created', 'system', 'usr_LwKK3bTydCKeR57sC_7OEg', NULL, NULL, NULL, NULL, '{"roles":["user"]}');
INSERT INTO events OVERRIDING SYSTEM VALUE VALUES (13, 1893499200000, 'session.opened', 'anonymous', 'usr_LwKK3bTydCKeR57sC_7OEg', 'ses_AbjdWOIAh22Pay_rwW4joQ', 'cli_first_party', '192.0.2.1', 'python-httpx2/2.16.2', '{}');
INSERT INTO events OVERRIDING SYSTEM VALUE VALUES (14, 1893499200000, 'user.updated', 'usr_G8dJ_AfZapAIVr-KuKx8PQ', 'usr_v-O5KqnmugqEo4n5J2tgoQ', 'ses_AbjdWOIA0zo0vnVT3hLF0w', NULL, '192.0.2.1', 'python-httpx2/2.16.2', '{"members":["name"]}');
INSERT INTO events OVERRIDING SYSTEM VALUE VALUES (15, 1893499200000, 'api.added', 'usr_G8dJ_AfZapAIVr-KuKx8PQ', NULL, 'ses_AbjdWOIA0zo0vnVT3hLF0w', NULL, '192.0.2.1', 'python-httpx2/2.16.2', '{"audience":"billing","scope":["bills:read"]}');
INSERT INTO events OVERRIDING SYSTEM VALUE VALUES (16, 1893499200000, 'session.opened', 'anonymous', 'usr_v-O5KqnmugqEo4n5J2tgoQ', 'ses_AbjdWOIAuum0LC2S6BqwBA', 'cli_first_party', '192.0.2.1', 'python-httpx2/2.16.2', '{}');
INSERT INTO events OVERRIDING SYSTEM VALUE VALUES (17, 1893499200000, 'session.opened', 'anonymous', 'usr_v-O5KqnmugqEo4n5J2tgoQ', 'ses_AbjdWOIAAW2TTdU1vLd6Xg', 'cli_first_party', '192.0.2.1', 'python-httpx2/2.16.2', '{}');
INSERT INTO events OVERRIDING SYSTEM VALUE VALUES (18, 1893499200000, 'session.ended', 'usr_v-O5KqnmugqEo4n5J2tgoQ', 'usr_v-O5KqnmugqEo4n5J2tgoQ', 'ses_AbjdWOIAAW2TTdU1vLd6Xg', NULL, '192.0.2.1', 'python-httpx2/2.16.2', '{"reason":"logged_out"}');
INSERT INTO events OVERRIDING SYSTEM VALUE VALUES (19, 1893499200000, 'api_key.created', 'usr_v-O5KqnmugqEo4n5J2tgoQ', 'usr_v-O5KqnmugqEo4n5J2tgoQ', 'ses_S2Xpmm2KCsC57ZURrgzixw', 'cli_first_party', '192.0.2.1', 'python-httpx2/2.16.2', '{"name":"nightly","until":"2030-04-01T12:00:00+00:00"}');
INSERT INTO events OVERRIDING SYSTEM VALUE VALUES (20, 1893499200000, 'signing_key.created', 'usr_v-O5KqnmugqEo4n5J2tgoQ', 'usr_v-O5KqnmugqEo4n5J2tgoQ', 'ses_v83c2c5Lf8rrohlTdWnczA', 'cli_first_party', '192.0.2.1', 'python-httpx2/2.16.2', '{"name":"nightly","until":"2030-04-01T12:00:00+00:00"}');
INSERT INTO events OVERRIDING SYSTEM VALUE VALUES (21, 1893499200000, 'basic_pair.given', 'usr_v-O5KqnmugqEo4n5J2tgoQ', 'usr_v-O5KqnmugqEo4n5J2tgoQ', 'ses_AbjdWOIAAOUKUrmWrE5w4A', 'cli_first_party', '192.0.2.1', 'python-httpx2/2.16.2', '{}');
INSERT INTO events OVERRIDING SYSTEM VALUE VALUES (22, 1893499200000, 'user.banned', 'usr_G8dJ_AfZapAIVr-KuKx8PQ', 'usr_1tUTql5XwHqM8hsv8pyBtQ', 'ses_AbjdWOIA0zo0vnVT3hLF0w', NULL, '192.0.2.1', 'python-httpx2/2.16.2', '{"reason":"spam"}');
INSERT INTO events OVERRIDING SYSTEM VALUE VALUES (23, 1893499200000, 'user.roles_changed', 'usr_G8dJ_AfZapAIVr-KuKx8PQ', 'usr_LwKK3bTydCKeR57sC_7OEg', 'ses_AbjdWOIA0zo0vnVT3hLF0w', NULL, '192.0.2.1', 'python-httpx2/2.16.2', '{"from":["user"],"to":["user","admin"]}');
INSERT INTO head VALUES (1, 1893499200000, 7, 0, 1200000, NULL, NULL, 0);
INSERT INTO meta VALUES ('secret_check', '8b1db9c14d2b457b3673bf3d2d03f5b388b16f28ba46acbc70bddcd5b745738b');
INSERT INTO revocations VALUES (4, 'key', '', NULL, '{"sequence":4,"kind":"key","at":1893499200,"keys":[{"kty":"EC","crv":"P-256","x":"A1MEn6kUjj75vqRI7RY4oqquCQKq9pWFrQXKK2e1s0E","y":"_5oD6O4y5HPY4m3jcwdLzExHjGW-xTQ9N5ndN7ElKgQ","kid":"-5ikvTqfk5MdJw5nMfIdVHMH7iPq4G296Kc2NQjat0E","alg":"ES256","use":"sig"},{"kty":"EC","crv":"P-256","x":"R2gI408gPneB81HGMPdrViTzVWhCngv602FXaSyl1S4","y":"HgHYyXSOeqzV_bWxJrIjxOoVznBZl6Q0KinHq2Ihuxg","kid":"IWLxpuHGuYGLcBAUxtSZOkDKQyMUJjr00uWeRnrObsQ","alg":"ES256","use":"sig"}]}', 0);
INSERT INTO revocations VALUES (5, 'session', 'ses_AbjdWOIAAW2TTdU1vLd6Xg', 'usr_v-O5KqnmugqEo4n5J2tgoQ', '{"sequence":5,"kind":"session","id":"ses_AbjdWOIAAW2TTdU1vLd6Xg","at":1893499200,"exp":1893500700}', 1893500700000);
INSERT INTO revocations VALUES (6, 'user', 'usr_1tUTql5XwHqM8hsv8pyBtQ', NULL, '{"sequence":6,"kind":"user","id":"usr_1tUTql5XwHqM8hsv8pyBtQ","below":1893499200001,"at":1893499200,"exp":1893500700}', 1893500700000);
INSERT INTO revocations VALUES (7, 'claims', 'usr_LwKK3bTydCKeR57sC_7OEg', NULL, '{"sequence":7,"kind":"claims","id":"usr_LwKK3bTydCKeR57sC_7OEg","below":1893499200001,"at":1893499200,"exp":1893500700,"claims":{"roles":["user","admin"],"scope":"profile email"},"clients":["cli_first_party"]}', 1893500700000);
INSERT INTO roles VALUES ('user', 'profile email', true);
INSERT INTO roles VALUES ('admin', 'profile email', true);
INSERT INTO schema_migrations VALUES (1, 'start', 1893499200000);
INSERT INTO schema_migrations VALUES (2, 'epoch', 1893499200000);
INSERT INTO schema_migrations VALUES (3, 'search', 1893499200000);
INSERT INTO schema_migrations VALUES (4, 'basic_pair', 1893499200000);
INSERT INTO schema_migrations VALUES (5, 'api_key', 1893499200000);
INSERT INTO schema_migrations VALUES (6, 'password_reset', 1893499200000);
INSERT INTO schema_migrations VALUES (7, 'counters', 1893499200000);
INSERT INTO schema_migrations VALUES (8, 'signing_key', 1893499200000);
INSERT INTO schema_migrations VALUES (9, 'encryption', 1893499200000);
INSERT INTO sessions OVERRIDING SYSTEM VALUE VALUES (1, 'ses_AbjdWOIA0zo0vnVT3hLF0w', 'usr_G8dJ_AfZapAIVr-KuKx8PQ', 'cli_first_party', 1893499200000, 1893499200000, 0, '\xef0ebfe377ab00105f8347842c8c881dd84e6336700a278edf10910e7653d9d3', 'https://auth.example.com', NULL, 'pwd', 1893499200000, NULL, '192.0.2.1', 'python-httpx2/2.16.2', 1893499200000, 1893499200000, 1909051200000, 1896091200000, 1893499800000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'login', NULL);
INSERT INTO sessions OVERRIDING SYSTEM VALUE VALUES (4, 'ses_AbjdWOIAh22Pay_rwW4joQ', 'usr_LwKK3bTydCKeR57sC_7OEg', 'cli_first_party', 1893499200000, 1893499200000, 0, '\x85a0ebeb95b7dbe039b4a7c21cf49b5b06ed70cd16599d0cdaaefe4dc46a06d8', 'https://auth.example.com api', NULL, 'pwd', 1893499200000, NULL, '192.0.2.1', 'python-httpx2/2.16.2', 1893499200000, 1893499200000, 1909051200000, 1896091200000, 1893499800000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'login', NULL);
INSERT INTO sessions OVERRIDING SYSTEM VALUE VALUES (5, 'ses_AbjdWOIAuum0LC2S6BqwBA', 'usr_v-O5KqnmugqEo4n5J2tgoQ', 'cli_first_party', 1893499200000, 1893499200000, 1, '\xe0f3a1af2b5390f039fdf6916e4c06830cc45a60b4d4bf1e76b4dadb8949ee1f', 'https://auth.example.com api', NULL, 'pwd', 1893499200000, NULL, '192.0.2.1', 'python-httpx2/2.16.2', 1893499200000, 1893499200000, 1909051200000, 1896091200000, 1893499800000, 1893499200000, NULL, NULL, NULL, '192.0.2.1', NULL, NULL, NULL, NULL, 'login', NULL);
INSERT INTO sessions OVERRIDING SYSTEM VALUE VALUES (6, 'ses_AbjdWOIAAW2TTdU1vLd6Xg', 'usr_v-O5KqnmugqEo4n5J2tgoQ', 'cli_first_party', 1893499200000, 1893499200000, 0, '\x5726095239abab0a362f45afd274b1d4d2f2ab1c200e84a448fbf3f4895fc294', 'https://auth.example.com api', NULL, 'pwd', 1893499200000, NULL, '192.0.2.1', 'python-httpx2/2.16.2', 1893499200000, 1893499200000, 1909051200000, 1896091200000, 1893499800000, NULL, NULL, NULL, NULL, NULL, 1893499200000, 'logged_out', NULL, NULL, 'login', NULL);
INSERT INTO sessions OVERRIDING SYSTEM VALUE VALUES (7, 'ses_S2Xpmm2KCsC57ZURrgzixw', 'usr_v-O5KqnmugqEo4n5J2tgoQ', 'cli_first_party', 1893499200000, 1893499200000, 0, '\x3369705084de34fd98a651839e2766f4fa060808bb3d4d66c3c3321841f46eae', 'api', NULL, 'api_key', 1893499200000, 'nightly', '192.0.2.1', 'python-httpx2/2.16.2', 1893499200000, 1893499200000, 1901275200000, 1901275200000, 1893499200000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'api_key', NULL);
INSERT INTO sessions OVERRIDING SYSTEM VALUE VALUES (8, 'ses_v83c2c5Lf8rrohlTdWnczA', 'usr_v-O5KqnmugqEo4n5J2tgoQ', 'cli_first_party', 1893499200000, 1893499200000, 0, '\xe07206dcc5fecce8dca0e70896656e845dff0ea08aac762a5061dfa15a2fcd19', 'api', NULL, 'signing_key', 1893499200000, 'nightly', '192.0.2.1', 'python-httpx2/2.16.2', 1893499200000, 1893499200000, 1901275200000, 1901275200000, 1893499200000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'signing_key', '{"kty":"OKP","crv":"Ed25519","x":"79Bi02SwB-YVIIdq70NMnAckC0Esz1yRRJANiUfUU58"}');
INSERT INTO sessions OVERRIDING SYSTEM VALUE VALUES (2, 'ses_AbjdWOIAAOUKUrmWrE5w4A', 'usr_v-O5KqnmugqEo4n5J2tgoQ', 'cli_first_party', 1893499200000, 1893499200000, 0, '\x558152e0a379def659f3f356b9236e6922519816db22b247b577a65c22d14624', 'https://auth.example.com api', NULL, 'pwd', 1893499200000, NULL, '192.0.2.1', 'python-httpx2/2.16.2', 1893499200000, 1893499200000, 1909051200000, 1896091200000, 1893500400000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'Buici3fsmkYabe1cuMLyUQ', 1893500400000, 'login', NULL);
INSERT INTO sessions OVERRIDING SYSTEM VALUE VALUES (3, 'ses_AbjdWOIAYTX7VcXvtetgAQ', 'usr_1tUTql5XwHqM8hsv8pyBtQ', 'cli_first_party', 1893499200000, 1893499200000, 0, '\x6ec4a2af024198931c8ab5d6d8cafb24fe12f992fd908e15b85126e560a2c1ac', 'https://auth.example.com api', NULL, 'pwd', 1893499200000, NULL, '192.0.2.1', 'python-httpx2/2.16.2', 1893499200000, 1893499200000, 1909051200000, 1896091200000, 1893499800000, NULL, NULL, NULL, NULL, NULL, 1893499200000, 'banned', NULL, NULL, 'login', NULL);
INSERT INTO signing_keys VALUES ('-5ikvTqfk5MdJw5nMfIdVHMH7iPq4G296Kc2NQjat0E', 'token', 'ES256', 'active', '{"kty":"EC","crv":"P-256","x":"A1MEn6kUjj75vqRI7RY4oqquCQKq9pWFrQXKK2e1s0E","y":"_5oD6O4y5HPY4m3jcwdLzExHjGW-xTQ9N5ndN7ElKgQ","kid":"-5ikvTqfk5MdJw5nMfIdVHMH7iPq4G296Kc2NQjat0E","alg":"ES256","use":"sig"}', '\x15b1c800dcfc1fee5348d2d3ba40ae3037d81559a42210bc0a92e5c45793f3a1f7364621a0b36c8a0488a6af3746fa08f13e1c71d66cad85f9bafd35dac8d21280cabdfd3cd9dcb400f760e1c44d9f825f676f7612572927cc4a201b20d05c63d65f90167f8030d2a02560fdd23c3f9177bebd2c4a9ae52bc66797b8bf5215f1408456a34a2e0d42b60dd13bd51491bb0c96023bcb449da61782e73484a71081ef29241eb73e5ec31f5d9805f497f4e7dc29b4e22be4a0e5545b8ae313323a02e6a190074c486c1a904a290030393aaeecec6caa859008d765111aabdbe66a199ff49ccca08992a266fbebe650e6c0578e88d3e56dc699d6c8de7a6b0dad7fdc9e553dfdd74a6f0cf4e64c517a19429c43ba618668133527e6a5', 1893499200000, 1893499200000, NULL, NULL, '');
INSERT INTO signing_keys VALUES ('IWLxpuHGuYGLcBAUxtSZOkDKQyMUJjr00uWeRnrObsQ', 'token', 'ES256', 'next', '{"kty":"EC","crv":"P-256","x":"R2gI408gPneB81HGMPdrViTzVWhCngv602FXaSyl1S4","y":"HgHYyXSOeqzV_bWxJrIjxOoVznBZl6Q0KinHq2Ihuxg","kid":"IWLxpuHGuYGLcBAUxtSZOkDKQyMUJjr00uWeRnrObsQ","alg":"ES256","use":"sig"}', '\x6429f0827826b0e49338c640cb4f5799249d7ad4993b7d35f72c1fcc31b527e79844f14d764e47e3c2ee8532bbc463a5ed754024e1969589b292028b74d1a7534c18cee170ff641cdb33ce7b0dc232883821428aa1ecb9588d803e4d7c9ef4316b0f33fa85de4de240b7ed49f83c3a3dd3902d69f6c477f195ff7576e28d693d1c9498f6f8dd8a9c7672d71099f44d3283826d4c778840b81f7b22f24d7e144d9b33e5dd2e2e8126d9d7d29bccb86ec52a06733b445330527a012aae681b1b036bd4d84e82c6c88071ebf870aea219994ed0185ff3e69a3012458397ca91e9a76ad84e19b497736ad02277d7ff0eecf387ec60cdc479e34b75f1e96fabe675f1bc5da3b67ddf3e3ba4f9d73e4660786a1b0a1a282b9e738e12d3', 1893499200000, NULL, NULL, NULL, '');
INSERT INTO signing_keys VALUES ('cpJgoVldqfA6dPcDCP6Rro482xMWWM5j5TVR3k7PXhw', 'feed', 'ES256', 'active', '{"kty":"EC","crv":"P-256","x":"6gTo-i0IJXIhCoDEZkfVkQsVHeiRLt0bZNFMQZC22wA","y":"Pv2recYh2be3psI4VQniCnScSN-Y9xiLkyH6i4S2OqY","kid":"cpJgoVldqfA6dPcDCP6Rro482xMWWM5j5TVR3k7PXhw","alg":"ES256","use":"sig"}', '\x1dcb115de51e3f0033f1e480c2ef1ce508a8e8ce8fbf0d6434b688b2c53681e01fdb276741604ab86bec42e7759b4684f17da3d8d59894e9a8ae4f4bfe2d07d04ca76ee32d84bf0dfc0acc771b7ce7ff2a662b5cd7356227b9673ebc4f19c0a0de12b9a619adcf85a2d6be1600720cd6d929dd42d76219eb86749e6faa695372bb7a4e3b72361f73a11a05913b14397c75e8948a8400bdf0e8f46ac40bc0531c7ee46e02db17aa23a47145e56ef2227109c03d1c627e1b00cc48c75e055886061dd0f7651ad6804d25b796d7bed95bb3d14a9e8b5f679d32cd8cac380a9c4a20aa9f4b493d86aa0e40627c88f71d6ed173045a6adbe0402d1a6b4aad11fa9d07904379f3ce49ac5862f54dd28b7584dd8eebbf233d427e31d4aa', 1893499200000, 1893499200000, NULL, NULL, '');
INSERT INTO signing_keys VALUES ('YFY4IJDz-jNLyeRlXChxvecHn0xtM-Raiz6ScL0C-J0', 'feed', 'ES256', 'next', '{"kty":"EC","crv":"P-256","x":"2WqRUS0JB1uEfCcx3N56qOjY3J_h51TzvJrNyQYTuCQ","y":"MjKcos5d_UZZLjbzOiMcAncYhm7u3EV2VsikXbQtEN0","kid":"YFY4IJDz-jNLyeRlXChxvecHn0xtM-Raiz6ScL0C-J0","alg":"ES256","use":"sig"}', '\x1eb60285560dfc954edd06676128a497861af41a69c55f359a03bfed440cca4442f52006a38bfafcd786479f4d8b1fb22eafa4d5d369a8a073b306982cba8f364c3db4ed9f8e7c55cc7cf8589e66383fe53ccbe7afe85fa1f4a53000a0c6ccac590f384c035d91453b8b4304b5371d2cabc887080cf01a66b0141dbbfc5ebd89fcdf89ffd22368685e549f5540f97de1d0af6861c544431d10fc95f147556c22f7ea93eb9f66b74d2e0f4024a433d444740b26dbdba2a6434d1dff78de1765df5f120e0e346acfe27b75f2cd2f1e532ae86dda8e564b8790d168e598b6637a24261c538a0d2d695e28fea8e76f154cee9a8e61d3326937adccf7c6ecc54830c3ec2a98e2d559c849c3db18772020e154cb214b1b6fdb3aff3f0a', 1893499200000, NULL, NULL, NULL, '');
INSERT INTO users OVERRIDING SYSTEM VALUE VALUES (1, 'usr_G8dJ_AfZapAIVr-KuKx8PQ', 'user5@example.com', 'user5@example.com', NULL, NULL, NULL, 'user admin', '$argon2id$v=19$m=8,t=1,p=1$+HvKw4snX9BoPyoxO8YaYA$lNYRoG+6DhqCjCobfVivR58ZeXNiNhEWZ6SUzL4ICcM', false, false, NULL, NULL, 1893499200000, 0, 1893499200000, 1893499200000, 1893499200000, NULL);
INSERT INTO users OVERRIDING SYSTEM VALUE VALUES (2, 'usr_v-O5KqnmugqEo4n5J2tgoQ', 'user6@example.com', 'user6@example.com', NULL, NULL, 'Ada Lovelace', 'user', '$argon2id$v=19$m=8,t=1,p=1$ULg1myPaXyQ+679NStcbrg$DKX/ZvlEzOhhC2MFkMb5JmWuwLSo9XIGRQBht/gsVtk', false, false, NULL, NULL, 1893499200000, 0, 1893499200000, 1893499200000, 1893499200000, 'ada lovelace');
INSERT INTO users OVERRIDING SYSTEM VALUE VALUES (3, 'usr_1tUTql5XwHqM8hsv8pyBtQ', 'user7@example.com', 'user7@example.com', NULL, NULL, NULL, 'user', '$argon2id$v=19$m=8,t=1,p=1$xwE4kHK/4qP7O5bBv/1Lqg$zGAvoXvAnHTOzsEI8Pr7FQwy6es8wuBujQCxKSf2Bwc', false, true, 'spam', NULL, 1893499200001, 1893499200001, 1893499200000, 1893499200000, 1893499200000, NULL);
INSERT INTO users OVERRIDING SYSTEM VALUE VALUES (4, 'usr_LwKK3bTydCKeR57sC_7OEg', 'user8@example.com', 'user8@example.com', NULL, NULL, NULL, 'user admin', '$argon2id$v=19$m=8,t=1,p=1$qwJooWxvUUctmInCFMjzcw$TrjLVbrtlTngpWYqqJ733VVyxbdzqyti9f5uqwaR5k8', false, false, NULL, NULL, 1893499200001, 0, 1893499200000, 1893499200000, 1893499200000, NULL);
SELECT pg_catalog.setval('events_id_seq', 23, true);
SELECT pg_catalog.setval('sessions_n_seq', 8, true);
SELECT pg_catalog.setval('users_n_seq', 4, true);
ALTER TABLE ONLY apis
    ADD CONSTRAINT apis_pkey PRIMARY KEY (audience);
ALTER TABLE ONLY clients
    ADD CONSTRAINT clients_pkey PRIMARY KEY (id);
ALTER TABLE ONLY counters
    ADD CONSTRAINT counters_pkey PRIMARY KEY (key);
ALTER TABLE ONLY events
    ADD CONSTRAINT events_pkey PRIMARY KEY (id);
ALTER TABLE ONLY head
    ADD CONSTRAINT head_pkey PRIMARY KEY ("only");
ALTER TABLE ONLY meta
    ADD CONSTRAINT meta_pkey PRIMARY KEY (name);
ALTER TABLE ONLY one_time
    ADD CONSTRAINT one_time_pkey PRIMARY KEY (digest);
ALTER TABLE ONLY password_resets
    ADD CONSTRAINT password_resets_digest_key UNIQUE (digest);
ALTER TABLE ONLY password_resets
    ADD CONSTRAINT password_resets_pkey PRIMARY KEY (user_id);
ALTER TABLE ONLY revocations
    ADD CONSTRAINT revocations_pkey PRIMARY KEY (sequence);
ALTER TABLE ONLY roles
    ADD CONSTRAINT roles_pkey PRIMARY KEY (name);
ALTER TABLE ONLY schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (number);
ALTER TABLE ONLY sessions
    ADD CONSTRAINT sessions_id_key UNIQUE (id);
ALTER TABLE ONLY sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (n);
ALTER TABLE ONLY signing_keys
    ADD CONSTRAINT signing_keys_pkey PRIMARY KEY (kid);
ALTER TABLE ONLY users
    ADD CONSTRAINT users_email_key_key UNIQUE (email_key);
ALTER TABLE ONLY users
    ADD CONSTRAINT users_id_key UNIQUE (id);
ALTER TABLE ONLY users
    ADD CONSTRAINT users_pkey PRIMARY KEY (n);
ALTER TABLE ONLY users
    ADD CONSTRAINT users_username_key_key UNIQUE (username_key);
CREATE INDEX counters_kept_until ON counters USING btree (kept_until);
CREATE INDEX events_of_type ON events USING btree (type, id);
CREATE INDEX events_of_user ON events USING btree (user_id, id) WHERE (user_id IS NOT NULL);
CREATE INDEX revocations_by_end ON revocations USING btree (expires_at) WHERE (expires_at > 0);
CREATE INDEX revocations_of_id ON revocations USING btree (id) WHERE (id <> ''::text);
CREATE INDEX revocations_of_owner ON revocations USING btree (owner) WHERE (owner IS NOT NULL);
CREATE INDEX sessions_of_user ON sessions USING btree (user_id) WHERE (ended_at IS NULL);
CREATE UNIQUE INDEX signing_keys_one ON signing_keys USING btree (purpose, audience, state) WHERE (state = ANY (ARRAY['next'::text, 'active'::text]));
CREATE TRIGGER head_moved AFTER UPDATE ON head FOR EACH ROW EXECUTE FUNCTION watchword_log_moved();
ALTER TABLE ONLY password_resets
    ADD CONSTRAINT password_resets_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE;
ALTER TABLE ONLY sessions
    ADD CONSTRAINT sessions_client_id_fkey FOREIGN KEY (client_id) REFERENCES clients(id);
ALTER TABLE ONLY sessions
    ADD CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE;
