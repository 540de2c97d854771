-- Counters of attempts that nodes share. They may be lost, so no log protects them: a crash empties the table.

CREATE UNLOGGED TABLE counters (
    key BYTEA PRIMARY KEY,
    full_at BIGINT NOT NULL,
    strikes INTEGER NOT NULL,
    kept_until BIGINT NOT NULL
);
CREATE INDEX counters_kept_until ON counters (kept_until);

CREATE FUNCTION microseconds_now() RETURNS BIGINT VOLATILE LANGUAGE sql AS $$
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT
$$;

-- Decides about one attempt in all its buckets. Each statement in it sees what was committed before it began, so
-- that the second look, after the locks, is at what stands.
CREATE FUNCTION settle_counters(
    how TEXT, given BIGINT, keys BYTEA[], binding TEXT[], forgotten BOOLEAN[],
    spacings BIGINT[], rooms BIGINT[], firsts BIGINT[], longests BIGINT[],
    OUT wait INTEGER, OUT told BOOLEAN, OUT dry INTEGER
) VOLATILE LANGUAGE plpgsql AS $$
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
