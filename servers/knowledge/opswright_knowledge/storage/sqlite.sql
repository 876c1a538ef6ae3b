-- The newest schema as the migrations leave it in an empty SQLite file, for files that are new:
-- those are made without Alembic, which takes 11 MB. A test compares the two, and says what differs.
CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE namespaces (number INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL UNIQUE,
    revision BIGINT NOT NULL);
CREATE TABLE changes (namespace INTEGER NOT NULL, revision BIGINT NOT NULL, kind TEXT NOT NULL,
    key TEXT NOT NULL, operation TEXT NOT NULL, at TEXT NOT NULL, agent TEXT NOT NULL,
    run_id TEXT, step TEXT, before JSON, PRIMARY KEY (namespace, revision));
CREATE INDEX changes_at ON changes (namespace, at);
CREATE INDEX changes_of ON changes (namespace, kind, key, revision);
CREATE TABLE resources (number INTEGER NOT NULL PRIMARY KEY, namespace INTEGER NOT NULL,
    type TEXT NOT NULL, id TEXT NOT NULL, arn TEXT NOT NULL, account TEXT NOT NULL,
    region TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL, attributes JSON NOT NULL,
    tags JSON NOT NULL, relations JSON NOT NULL, revision BIGINT NOT NULL, recorded_by TEXT NOT NULL, run_id TEXT, step TEXT,
    at TEXT NOT NULL, seen_at TEXT NOT NULL,
    deleted_at TEXT, CONSTRAINT resources_key UNIQUE (namespace, type, id));
CREATE INDEX resources_id ON resources (namespace, id);
CREATE INDEX resources_arn ON resources (namespace, arn);
CREATE INDEX resources_region ON resources (namespace, region, type, id);
CREATE INDEX resources_account ON resources (namespace, account, type, id);
CREATE TABLE resource_counts (namespace INTEGER NOT NULL, type TEXT NOT NULL,
    living BIGINT NOT NULL, PRIMARY KEY (namespace, type));
CREATE TABLE resource_tags (namespace INTEGER NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL,
    key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (namespace, type, id, key));
CREATE INDEX resource_tags_key ON resource_tags (namespace, key, value, type, id);
CREATE TABLE resource_relations (namespace INTEGER NOT NULL, type TEXT NOT NULL,
    id TEXT NOT NULL, kind TEXT NOT NULL, target TEXT NOT NULL,
    PRIMARY KEY (namespace, type, id, kind, target));
CREATE INDEX resource_relations_id ON resource_relations (namespace, id);
CREATE TABLE deployments (namespace INTEGER NOT NULL, deployment_id TEXT NOT NULL,
    first_revision BIGINT NOT NULL, application TEXT NOT NULL, environment TEXT NOT NULL,
    version TEXT NOT NULL, status TEXT NOT NULL, "commit" TEXT NOT NULL,
    artifact_sha256 TEXT NOT NULL, strategy TEXT NOT NULL, rollback_target TEXT,
    attributes JSON NOT NULL, started_at TEXT NOT NULL, revision BIGINT NOT NULL, recorded_by TEXT NOT NULL, run_id TEXT, step TEXT,
    at TEXT NOT NULL,
    PRIMARY KEY (namespace, deployment_id),
    CONSTRAINT deployments_order UNIQUE (namespace, first_revision));
CREATE INDEX deployments_where
    ON deployments (namespace, application, environment, first_revision);
CREATE TABLE memories (number INTEGER NOT NULL PRIMARY KEY, namespace INTEGER NOT NULL,
    memory_id TEXT NOT NULL, agent TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL,
    importance FLOAT NOT NULL, expires_at TEXT, revision BIGINT NOT NULL, recorded_by TEXT NOT NULL, run_id TEXT, step TEXT,
    at TEXT NOT NULL,
    CONSTRAINT memories_key UNIQUE (namespace, memory_id));
CREATE INDEX memories_expires ON memories (namespace, expires_at);
CREATE TABLE context (namespace INTEGER NOT NULL, scope TEXT NOT NULL, key TEXT NOT NULL,
    value JSON NOT NULL, revision BIGINT NOT NULL, recorded_by TEXT NOT NULL, run_id TEXT, step TEXT,
    at TEXT NOT NULL, PRIMARY KEY (namespace, scope, key));
CREATE TABLE messages (namespace INTEGER NOT NULL, message_id TEXT NOT NULL,
    sender TEXT NOT NULL, recipient TEXT NOT NULL, intent TEXT NOT NULL,
    content TEXT NOT NULL, data JSON NOT NULL, thread TEXT NOT NULL, in_reply_to TEXT,
    revision BIGINT NOT NULL, recorded_by TEXT NOT NULL, run_id TEXT, step TEXT,
    at TEXT NOT NULL, read_at TEXT, PRIMARY KEY (namespace, message_id));
CREATE INDEX messages_recipient ON messages (namespace, recipient, revision);
CREATE INDEX messages_thread ON messages (namespace, thread, revision);
CREATE TABLE acknowledgements (namespace INTEGER NOT NULL, message_id TEXT NOT NULL,
    reader TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (namespace, message_id, reader));
CREATE TABLE runs (namespace INTEGER NOT NULL, run_id TEXT NOT NULL,
    first_revision BIGINT NOT NULL, goal TEXT NOT NULL, status TEXT NOT NULL, "plan" JSON,
    steps JSON, report JSON, started_at TEXT NOT NULL, revision BIGINT NOT NULL,
    recorded_by TEXT NOT NULL, step TEXT, at TEXT NOT NULL, PRIMARY KEY (namespace, run_id),
    CONSTRAINT runs_order UNIQUE (namespace, first_revision));
CREATE VIRTUAL TABLE memory_words USING fts5(words, tokenize='porter unicode61');
CREATE VIRTUAL TABLE resource_words USING fts5(words, tokenize='unicode61');
CREATE INDEX changes_kind ON changes (namespace, kind, revision);
CREATE INDEX resource_relations_target ON resource_relations (namespace, target, type, id);
CREATE INDEX messages_sender ON messages (namespace, sender);
CREATE INDEX context_key ON context (namespace, key);
CREATE INDEX deployments_application ON deployments (namespace, application, first_revision);
CREATE INDEX deployments_environment ON deployments (namespace, environment, first_revision);
CREATE INDEX deployments_status ON deployments (namespace, status, first_revision);
CREATE INDEX context_at ON context (namespace, scope, at);
CREATE INDEX messages_unread ON messages (namespace, recipient, revision) WHERE read_at IS NULL;
CREATE INDEX changes_agent ON changes (namespace, agent, kind, revision);
CREATE INDEX memories_agent ON memories (namespace, agent, kind, revision);
CREATE INDEX memories_kind ON memories (namespace, kind, revision);
CREATE INDEX deployments_in ON deployments (namespace, environment, application);
CREATE TABLE broadcasts_read (namespace INTEGER NOT NULL, reader TEXT  NOT NULL, first_revision BIGINT NOT NULL, last_revision BIGINT NOT NULL, PRIMARY KEY (namespace, reader, first_revision));
INSERT INTO alembic_version VALUES ('0010');
INSERT INTO namespaces VALUES (1, 'default', 0);
ANALYZE sqlite_schema;
DELETE FROM sqlite_stat1;
INSERT INTO sqlite_stat1 VALUES
    ('changes', 'sqlite_autoindex_changes_1', '1000000 1000000 1'),
    ('changes', 'changes_at', '1000000 1000000 100'),
    ('changes', 'changes_of', '1000000 1000000 100000 5 1'),
    ('changes', 'changes_kind', '1000000 1000000 100000 1'),
    ('resources', 'sqlite_autoindex_resources_1', '1000000 1000000 10000 1'),
    ('resources', 'resources_id', '1000000 1000000 2'),
    ('resources', 'resources_arn', '1000000 1000000 2'),
    ('resources', 'resources_region', '1000000 1000000 100000 1000 1'),
    ('resources', 'resources_account', '1000000 1000000 100000 1000 1'),
    ('resource_tags', 'sqlite_autoindex_resource_tags_1', '1000000 1000000 10000 5 1'),
    ('resource_tags', 'resource_tags_key', '1000000 1000000 100000 1000 100 1'),
    ('resource_relations', 'sqlite_autoindex_resource_relations_1', '1000000 1000000 10000 5 2 1'),
    ('resource_relations', 'resource_relations_id', '1000000 1000000 5'),
    ('memories', 'sqlite_autoindex_memories_1', '1000000 1000000 1'),
    ('memories', 'memories_expires', '1000000 1000000 100'),
    ('resource_relations', 'resource_relations_target', '1000000 1000000 10 5 1'),
    ('messages', 'messages_sender', '1000000 1000000 10000'),
    ('context', 'context_key', '1000000 1000000 10'),
    ('deployments', 'sqlite_autoindex_deployments_1', '1000000 1000000 1'),
    ('deployments', 'sqlite_autoindex_deployments_2', '1000000 1000000 1'),
    ('deployments', 'deployments_where', '1000000 1000000 10000 1000 1'),
    ('deployments', 'deployments_application', '1000000 1000000 10000 1'),
    ('deployments', 'deployments_environment', '1000000 1000000 100000 1'),
    ('deployments', 'deployments_status', '1000000 1000000 100000 1'),
    ('context', 'sqlite_autoindex_context_1', '1000000 1000000 10000 1'),
    ('context', 'context_at', '1000000 1000000 10000 100'),
    ('messages', 'sqlite_autoindex_messages_1', '1000000 1000000 1'),
    ('messages', 'messages_recipient', '1000000 1000000 10000 1'),
    ('messages', 'messages_unread', '10000 10000 100 1'),
    ('messages', 'messages_thread', '1000000 1000000 10 1'),
    ('acknowledgements', 'sqlite_autoindex_acknowledgements_1', '1000000 1000000 2 1'),
    ('changes', 'changes_agent', '1000000 1000000 10000 5000 1'),
    ('memories', 'memories_agent', '1000000 1000000 10000 5000 1'),
    ('memories', 'memories_kind', '1000000 1000000 250000 1'),
    ('deployments', 'deployments_in', '1000000 1000000 100000 1000'),
    ('broadcasts_read', 'sqlite_autoindex_broadcasts_read_1', '1000000 1000000 1000 1');
ANALYZE sqlite_schema;
