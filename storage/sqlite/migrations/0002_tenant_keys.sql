-- A key that a tenant's data is sealed with, wrapped under the secret that
-- kek_id names. An erased one has no bytes left and stays as the record of it.
CREATE TABLE tenant_keys (
    id             BLOB    NOT NULL PRIMARY KEY,
    tenant         TEXT    NOT NULL,
    wrapped        BLOB    NOT NULL,
    kek_id         TEXT    NOT NULL,
    created_at     INTEGER NOT NULL,
    retired_at     INTEGER NOT NULL DEFAULT 0,
    erased_at      INTEGER NOT NULL DEFAULT 0 CHECK (erased_at = 0 OR retired_at > 0 AND length(wrapped) = 0),
    schema_version INTEGER NOT NULL DEFAULT 1
) STRICT;

CREATE UNIQUE INDEX tenant_keys_active ON tenant_keys (tenant) WHERE retired_at = 0;
CREATE INDEX tenant_keys_tenant ON tenant_keys (tenant);

-- The key that a row's payload is sealed with; null: it is in plain.
ALTER TABLE requests ADD COLUMN key_id BLOB;
ALTER TABLE results ADD COLUMN key_id BLOB;
ALTER TABLE calls ADD COLUMN key_id BLOB;
