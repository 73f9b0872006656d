-- A library of :books books, as psql reads it: five books by each author, one genre in twenty and two
-- copies of each book, a copy in ten on loan. The same number gives the same library.
BEGIN;
SET LOCAL synchronous_commit = off;
-- Every row leads to one that is there: nobody has to look.
SET LOCAL session_replication_role = replica;

-- A multiplication by a large prime scatters numbers without chance.
CREATE FUNCTION pg_temp.word(number bigint) RETURNS text IMMUTABLE LANGUAGE sql RETURN
    (string_to_array(
        'Amber Anchor Apple Arrow Autumn Barrel Beacon Bell Birch Bridge Candle Canyon Castle Cedar '
        'Chapel Cloud Copper Coral Crow Crystal Desert Dune Eagle Echo Ember Falcon Feather Field Flame '
        'Forest Fox Garden Glass Gold Granite Harbour Hawk Hazel Hill Honey Island Ivory Jade Journey '
        'Kettle Lantern Letter Lily Maple Marble Meadow Mirror Mist Moon Mountain Night Oak Ocean Owl', ' ')
    )[1 + number * 15485863 % 59];

INSERT INTO auth_user (id, username, password, first_name, last_name, email, is_superuser, is_staff,
    is_active, date_joined)
SELECT n, 'reader' || n, '!', '', '', '', false, false, true, now()
FROM generate_series(1, :books / 100 + 1) n;
SELECT setval(pg_get_serial_sequence('auth_user', 'id'), max(id)) FROM auth_user \gset


INSERT INTO catalog_language (id, name) VALUES (1, 'English'), (2, 'Spanish');
INSERT INTO catalog_genre (id, name) SELECT n, 'Genre ' || n FROM generate_series(1, 20) n;

INSERT INTO catalog_author (id, first_name, last_name)
SELECT n, pg_temp.word(n), pg_temp.word(n / 59) || n FROM generate_series(1, :books / 5 + 1) n;

INSERT INTO catalog_book (id, title, year, summary, isbn, cover, added, author_id, language_id)
SELECT n, format('The %s of the %s %s', pg_temp.word(n), pg_temp.word(n / 59), n), 1800 + n % 220,
    repeat('A book about what the title says. ', 8), '', '',
    timestamptz '2026-01-01 00:00Z' + n * interval '1 second', n / 5 + 1, n % 2 + 1
FROM generate_series(1, :books) n;

INSERT INTO catalog_book_genres (book_id, genre_id)
SELECT n, n::bigint * 7919 % 20 + 1 FROM generate_series(1, :books) n;

INSERT INTO catalog_bookinstance (id, book_id, imprint, status, due_back, borrower_id)
SELECT md5(n || '/' || place)::uuid, n, 'Penguin, ' || 1950 + n % 70,
    CASE WHEN lent THEN 'o' WHEN n % 10 = 1 THEN 'm' ELSE 'a' END,
    CASE WHEN lent THEN date '2026-12-01' + n % 28 END,
    CASE WHEN lent THEN n % (:books / 100 + 1) + 1 END
FROM generate_series(1, :books) n, generate_series(1, 2) place,
    LATERAL (SELECT place = 2 AND n % 5 = 0 AS lent) l
ORDER BY n, place;
COMMIT;
VACUUM ANALYZE;
