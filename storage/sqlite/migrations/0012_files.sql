-- Files. One that is removed is told of no more, and its chunks are to go. expires_at is
-- 0 for one that goes with what is past its retention. Its id tells when it was made.
CREATE TABLE files (
    id             BLOB    NOT NULL PRIMARY KEY,
    tenant         TEXT    NOT NULL,
    purpose        TEXT    NOT NULL,
    name           TEXT    NOT NULL,
    bytes          INTEGER NOT NULL,
    status         TEXT    NOT NULL CHECK (status IN ('uploading', 'uploaded', 'removed')),
    bucket         INTEGER NOT NULL,
    batch_id       BLOB,
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    schema_version INTEGER NOT NULL DEFAULT 1
) STRICT, WITHOUT ROWID;

CREATE INDEX files_list ON files (tenant, id) WHERE status = 'uploaded';
CREATE INDEX files_uploading ON files (id) WHERE status = 'uploading';
CREATE INDEX files_removed ON files (bucket, id) WHERE status = 'removed';
CREATE INDEX files_expiry ON files (expires_at) WHERE expires_at > 0 AND status <> 'removed';

-- The rows are long: they are best found by another tree.
CREATE TABLE file_chunks (
    file_id BLOB    NOT NULL,
    n       INTEGER NOT NULL,
    key_id  BLOB,
    data    BLOB    NOT NULL,
    PRIMARY KEY (file_id, n)
) STRICT;
