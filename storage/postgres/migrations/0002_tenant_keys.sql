-- A key that a tenant's data is sealed with, wrapped under the secret that
-- kek_id names. An erased one has no bytes left and stays as the record of it.
CREATE TABLE tenant_keys (
    id             uuid        NOT NULL PRIMARY KEY,
    tenant         text        NOT NULL COLLATE "C",
    wrapped        bytea       NOT NULL,
    kek_id         text        NOT NULL COLLATE "C",
    created_at     timestamptz NOT NULL,
    retired_at     timestamptz,
    erased_at      timestamptz CHECK (erased_at IS NULL OR retired_at IS NOT NULL AND length(wrapped) = 0),
    schema_version smallint    NOT NULL DEFAULT 1
);

CREATE UNIQUE INDEX tenant_keys_active ON tenant_keys (tenant) WHERE retired_at IS NULL;
CREATE INDEX tenant_keys_tenant ON tenant_keys (tenant);

-- The key that a row's payload is sealed with; null: it is in plain.
ALTER TABLE requests ADD COLUMN key_id uuid;
ALTER TABLE results ADD COLUMN key_id uuid;
ALTER TABLE calls ADD COLUMN key_id uuid;
