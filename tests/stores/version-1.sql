PRAGMA application_id = 1398231110;
PRAGMA user_version = 1;
CREATE TABLE service (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, layer TEXT);
CREATE TABLE instance (
    id INTEGER PRIMARY KEY, service INTEGER NOT NULL, name TEXT NOT NULL, first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL, language TEXT NOT NULL, properties TEXT NOT NULL, UNIQUE (service, name));
CREATE TABLE endpoint (
    id INTEGER PRIMARY KEY, service INTEGER NOT NULL, name TEXT NOT NULL, first_seen INTEGER NOT NULL,
    UNIQUE (service, name));
CREATE TABLE segment (
    id INTEGER PRIMARY KEY, segment_id TEXT NOT NULL UNIQUE, trace_id TEXT NOT NULL, service TEXT NOT NULL,
    instance TEXT NOT NULL, endpoint TEXT NOT NULL, start INTEGER NOT NULL, duration INTEGER NOT NULL,
    is_error INTEGER NOT NULL, tags TEXT NOT NULL, weight INTEGER NOT NULL, received INTEGER NOT NULL,
    profile INTEGER);
CREATE INDEX segment_of_service ON segment (service, id, weight) WHERE profile IS NULL;
CREATE INDEX segment_by_age ON segment (id, received) WHERE profile IS NULL;
CREATE INDEX segment_of_profile ON segment (profile) WHERE profile IS NOT NULL;
CREATE INDEX segment_by_start ON segment (start);
CREATE INDEX segment_of_trace ON segment (trace_id);
CREATE TABLE spans (id INTEGER PRIMARY KEY, spans TEXT NOT NULL);
CREATE TABLE profile (
    id INTEGER PRIMARY KEY, segment_id TEXT NOT NULL UNIQUE, task_id TEXT NOT NULL, snapshots INTEGER NOT NULL,
    weight INTEGER NOT NULL, received INTEGER NOT NULL);
CREATE TABLE snapshot (
    profile INTEGER NOT NULL, sequence INTEGER NOT NULL, time INTEGER NOT NULL, stack INTEGER NOT NULL,
    task_id TEXT, PRIMARY KEY (profile, sequence)) WITHOUT ROWID;
CREATE TABLE stack (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, frames BLOB NOT NULL, uses INTEGER NOT NULL);
CREATE TABLE frame (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, text TEXT NOT NULL, uses INTEGER NOT NULL);
CREATE TABLE task (
    id INTEGER PRIMARY KEY, task_id TEXT NOT NULL UNIQUE, service_id TEXT NOT NULL, endpoint TEXT NOT NULL,
    start INTEGER NOT NULL, duration INTEGER NOT NULL, min_duration_threshold INTEGER NOT NULL,
    dump_period INTEGER NOT NULL, max_sampling_count INTEGER NOT NULL, created INTEGER NOT NULL);
CREATE TABLE task_log (
    id INTEGER PRIMARY KEY, task_id TEXT NOT NULL, service TEXT NOT NULL, instance TEXT NOT NULL,
    operation TEXT NOT NULL, time INTEGER NOT NULL);
CREATE INDEX task_log_of_task ON task_log (task_id, id);
INSERT INTO service VALUES (1, 'shop', 'GENERAL');
INSERT INTO instance VALUES (1, 1, 'one', 1700000000000, 1700000000003, 'PYTHON', '[["Process No.", "7"]]');
INSERT INTO endpoint VALUES (1, 1, '/e', 1700000000001);
INSERT INTO segment VALUES (1, 'plain', 'trace-plain', 'shop', 'one', '/e', 1700000000000, 20, 0, '["http.method", "GET"]', 1282, 1700000000001, NULL);
INSERT INTO segment VALUES (2, 'profiled', 'trace-profiled', 'shop', 'one', '/e', 1700000000000, 20, 0, '["http.method", "GET"]', 1282, 1700000000002, 1);
INSERT INTO segment VALUES (3, 'half', 'trace-half', 'shop', 'one', '/e', 1700000000000, 20, 0, '["http.method", "GET"]', 1282, 1700000000003, 2);
INSERT INTO spans VALUES (1, '[[0,-1,1700000000000,1700000000020,"/e","Entry","Http","","N/A",false,false,[["http.method","GET"]],[]]]');
INSERT INTO spans VALUES (2, '[[0,-1,1700000000000,1700000000020,"/e","Entry","Http","","N/A",false,false,[["http.method","GET"]],[]]]');
INSERT INTO spans VALUES (3, '[[0,-1,1700000000000,1700000000020,"/e","Entry","Http","","N/A",false,false,[["http.method","GET"]],[]]]');
INSERT INTO profile VALUES (1, 'profiled', '1700000000000_c2hvcA==.1', 3, 2269, 1700000000000);
INSERT INTO profile VALUES (2, 'half', 'early', 2, 1849, 1700000000000);
INSERT INTO snapshot VALUES (1, 0, 1700000000000, 1, NULL);
INSERT INTO snapshot VALUES (1, 1, 1700000000010, 2, NULL);
INSERT INTO snapshot VALUES (1, 2, 1700000000020, 2, NULL);
INSERT INTO snapshot VALUES (2, 0, 1700000000000, 3, '1700000000000_c2hvcA==.1');
INSERT INTO snapshot VALUES (2, 1, 1700000000010, 3, NULL);
INSERT INTO stack VALUES (1, X'3135C44B822BC8C029FF9371314B2CF8', X'0100000002000000', 1);
INSERT INTO stack VALUES (2, X'72C1D64CABAB0B673713A5465A5A1ABE', X'010000000200000003000000', 1);
INSERT INTO stack VALUES (3, X'2EC8D13FF61F441043B79B6D270D3C4E', X'01000000', 1);
INSERT INTO frame VALUES (1, X'2EC8D13FF61F441043B79B6D270D3C4E', '/e', 3);
INSERT INTO frame VALUES (2, X'93CB8E3F3FBEC5F69AAB677CA66E7B3E', 'view', 2);
INSERT INTO frame VALUES (3, X'0E2629BCDD7256F2E012DA6FD33ED828', 'slow', 1);
INSERT INTO task VALUES (1, '1700000000000_c2hvcA==.1', 'c2hvcA==.1', '/e', 1700000000000, 5, 0, 10, 5, 1700000000000);
INSERT INTO task_log VALUES (1, '1700000000000_c2hvcA==.1', 'shop', 'one', 'NOTIFIED', 1700000000005);
