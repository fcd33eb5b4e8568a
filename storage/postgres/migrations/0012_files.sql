-- Files. One that is removed is told of no more, and its chunks are to go. Without
-- expires_at it goes with what is past its retention. Its id tells when it was made.
CREATE TABLE files (
    id             uuid        NOT NULL PRIMARY KEY,
    tenant         text        NOT NULL COLLATE "C",
    purpose        text        NOT NULL COLLATE "C",
    name           text        NOT NULL,
    bytes          bigint      NOT NULL,
    status         text        NOT NULL COLLATE "C" CHECK (status IN ('uploading', 'uploaded', 'removed')),
    bucket         boolean     NOT NULL,
    batch_id       uuid,
    created_at     timestamptz NOT NULL,
    expires_at     timestamptz,
    schema_version smallint    NOT NULL DEFAULT 1
);

CREATE INDEX files_list ON files (tenant, id) WHERE status = 'uploaded';
CREATE INDEX files_uploading ON files (id) WHERE status = 'uploading';
CREATE INDEX files_removed ON files (bucket, id) WHERE status = 'removed';
CREATE INDEX files_expiry ON files (expires_at) WHERE expires_at IS NOT NULL AND status <> 'removed';

CREATE TABLE file_chunks (
    file_id        uuid     NOT NULL,
    n              integer  NOT NULL,
    key_id         uuid,
    data           bytea    NOT NULL,
    schema_version smallint NOT NULL DEFAULT 1,
    PRIMARY KEY (file_id, n)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

-- What is sealed does not compress: do not try.
ALTER TABLE file_chunks ALTER COLUMN data SET STORAGE EXTERNAL;
