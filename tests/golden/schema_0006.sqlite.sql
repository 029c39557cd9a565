BEGIN TRANSACTION;
CREATE TABLE nas_accuracy_step (
	dataset_hash TEXT NOT NULL, 
	step INTEGER NOT NULL, 
	trials INTEGER NOT NULL, 
	PRIMARY KEY (dataset_hash, step)
);
INSERT INTO "nas_accuracy_step" VALUES('dddddddd',750,1);
INSERT INTO "nas_accuracy_step" VALUES('dddddddd',800,2);
INSERT INTO "nas_accuracy_step" VALUES('dddddddd',900,1);
CREATE TABLE nas_alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT nas_alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "nas_alembic_version" VALUES('0006');
CREATE TABLE nas_architecture (
	fingerprint TEXT NOT NULL, 
	body TEXT NOT NULL, 
	spec JSON NOT NULL, 
	blocks JSON NOT NULL, 
	summary TEXT NOT NULL, 
	PRIMARY KEY (fingerprint)
);
INSERT INTO "nas_architecture" VALUES('cf452cf321684d15','51d486123fc254fc','{"format": 1, "parts": [{"block": "conv", "width": 1}]}','["conv"]','conv 1');
INSERT INTO "nas_architecture" VALUES('c10d262207a31601','10613a702262d01c','{"format": 1, "parts": [{"block": "conv", "width": 2}]}','["conv", "stacked"]','conv 2');
INSERT INTO "nas_architecture" VALUES('4de0b3b815186192','291681518b3b0ed4','{"format": 1, "parts": [{"block": "conv", "width": 3}]}','["conv"]','conv 3');
INSERT INTO "nas_architecture" VALUES('f719b5bc9454427d','d7244549cb5b917f','{"format": 1, "parts": [{"block": "conv", "width": 4}]}','["conv"]','conv 4');
INSERT INTO "nas_architecture" VALUES('ec504ed80c43ef90','09fe34c08de405ce','{"format": 1, "parts": [{"block": "conv", "width": 5}]}','["conv"]','conv 5');
CREATE TABLE nas_architecture_block (
	fingerprint TEXT NOT NULL, 
	block TEXT NOT NULL, 
	PRIMARY KEY (fingerprint, block), 
	FOREIGN KEY(fingerprint) REFERENCES nas_architecture (fingerprint) ON DELETE CASCADE
);
INSERT INTO "nas_architecture_block" VALUES('cf452cf321684d15','conv');
INSERT INTO "nas_architecture_block" VALUES('c10d262207a31601','conv');
INSERT INTO "nas_architecture_block" VALUES('c10d262207a31601','stacked');
INSERT INTO "nas_architecture_block" VALUES('4de0b3b815186192','conv');
INSERT INTO "nas_architecture_block" VALUES('f719b5bc9454427d','conv');
INSERT INTO "nas_architecture_block" VALUES('ec504ed80c43ef90','conv');
CREATE TABLE nas_checkpoint (
	trial_id INTEGER NOT NULL, 
	epoch INTEGER NOT NULL, 
	blob BLOB NOT NULL, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES nas_trial (id) ON DELETE CASCADE
);
INSERT INTO "nas_checkpoint" VALUES(5,1,X'636865636B706F696E74');
CREATE TABLE "nas_epoch" (
	trial_id INTEGER NOT NULL, 
	epoch INTEGER NOT NULL, 
	accuracy DOUBLE, 
	loss DOUBLE, 
	train_loss DOUBLE, 
	seconds DOUBLE NOT NULL, 
	PRIMARY KEY (trial_id, epoch), 
	FOREIGN KEY(trial_id) REFERENCES nas_trial (id) ON DELETE CASCADE
);
INSERT INTO "nas_epoch" VALUES(1,1,0.8,1.0,1.1,0.25);
INSERT INTO "nas_epoch" VALUES(1,2,0.8,1.0,1.1,0.25);
INSERT INTO "nas_epoch" VALUES(1,3,0.8,1.0,1.1,0.25);
INSERT INTO "nas_epoch" VALUES(2,1,0.9,1.0,1.1,0.25);
INSERT INTO "nas_epoch" VALUES(2,2,0.9,1.0,1.1,0.25);
INSERT INTO "nas_epoch" VALUES(2,3,0.9,1.0,1.1,0.25);
INSERT INTO "nas_epoch" VALUES(3,1,0.3,1.0,1.1,0.25);
INSERT INTO "nas_epoch" VALUES(3,2,0.3,1.0,1.1,0.25);
INSERT INTO "nas_epoch" VALUES(5,1,0.5,1.0,1.1,0.25);
INSERT INTO "nas_epoch" VALUES(7,1,NULL,NULL,1.1,0.25);
INSERT INTO "nas_epoch" VALUES(7,2,NULL,NULL,1.1,0.25);
INSERT INTO "nas_epoch" VALUES(7,3,0.75,1.0,1.1,0.25);
CREATE TABLE nas_plan (
	machine TEXT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	batch_size INTEGER NOT NULL, 
	asked TEXT NOT NULL, 
	precision TEXT NOT NULL, 
	memory_format TEXT NOT NULL, 
	micro_batch INTEGER NOT NULL, 
	failed_bytes BIGINT, 
	PRIMARY KEY (machine, fingerprint, batch_size, asked)
);
INSERT INTO "nas_plan" VALUES('machine','cf452cf321684d15',64,'auto auto','fp32','channels_last',0,NULL);
CREATE TABLE nas_study (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name TEXT NOT NULL, 
	dataset TEXT NOT NULL, 
	dataset_hash TEXT NOT NULL, 
	input JSON NOT NULL, 
	classes INTEGER NOT NULL, 
	seed BIGINT NOT NULL, 
	trials INTEGER NOT NULL, 
	config JSON NOT NULL, 
	budget JSON NOT NULL, 
	blocks JSON NOT NULL, 
	recipe JSON NOT NULL, 
	recipe_hash TEXT NOT NULL, 
	epochs INTEGER NOT NULL, 
	keep INTEGER NOT NULL, 
	images JSON NOT NULL, 
	exhausted BOOLEAN NOT NULL, 
	created DOUBLE NOT NULL, scored_on TEXT DEFAULT 'validation' NOT NULL, priority INTEGER DEFAULT '0' NOT NULL, halt TEXT DEFAULT '' NOT NULL, 
	UNIQUE (name)
);
INSERT INTO "nas_study" VALUES(1,'alpha','digits','dddddddd','[1, 8, 8]',10,0,5,'{"name": "alpha"}','{"params": 20000}','["conv", "stacked"]','{"epochs": 3}','rrrrrrrr',3,10,'{"mean": [4.88], "std": [6.02], "class_names": ["0", "1"]}',0,1.79517867354900693887e+09,'validation',3,'paused');
INSERT INTO "nas_study" VALUES(2,'beta','digits','dddddddd','[1, 8, 8]',10,0,5,'{"name": "beta"}','{"params": 20000}','["conv", "stacked"]','{"epochs": 3}','rrrrrrrr',3,10,'{"mean": [4.88], "std": [6.02], "class_names": ["0", "1"]}',0,1.79517867355001258843e+09,'validation',0,'');
INSERT INTO "nas_study" VALUES(3,'gamma','digits','dddddddd','[1, 8, 8]',10,0,5,'{"name": "gamma"}','{"params": 20000}','["conv", "stacked"]','{"epochs": 3}','tttttttt',3,10,'{}',0,1.79563466763000631337e+09,'test',0,'');
CREATE TABLE nas_trial (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	study_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	revision INTEGER NOT NULL, 
	fingerprint TEXT NOT NULL, 
	dataset_hash TEXT NOT NULL, 
	recipe_hash TEXT NOT NULL, 
	seed BIGINT NOT NULL, 
	state TEXT NOT NULL, 
	claim TEXT, 
	draw_json JSON NOT NULL, 
	choice_json JSON NOT NULL, 
	projected BOOLEAN NOT NULL, 
	reused BOOLEAN NOT NULL, 
	source_trial_id INTEGER, 
	accuracy DOUBLE, 
	accuracy_low DOUBLE, 
	accuracy_high DOUBLE, 
	repeats INTEGER NOT NULL, 
	test_accuracy DOUBLE, 
	test_low DOUBLE, 
	test_high DOUBLE, 
	params BIGINT NOT NULL, 
	weights BIGINT NOT NULL, 
	macs BIGINT NOT NULL, 
	activations BIGINT NOT NULL, 
	receptive_field BIGINT, 
	auxiliary_params BIGINT NOT NULL, 
	depth INTEGER NOT NULL, 
	epochs INTEGER NOT NULL, 
	epochs_done INTEGER NOT NULL, 
	seconds DOUBLE NOT NULL, 
	device TEXT NOT NULL, 
	precision TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	versions JSON NOT NULL, 
	worker TEXT NOT NULL, 
	lease DOUBLE NOT NULL, 
	attempts INTEGER NOT NULL, 
	started DOUBLE NOT NULL, 
	finished DOUBLE, 
	mirrored BOOLEAN NOT NULL, 
	UNIQUE (study_id, number), 
	UNIQUE (study_id, fingerprint), 
	CONSTRAINT nas_trial_complete_has_accuracy CHECK (state <> 'complete' OR accuracy IS NOT NULL), 
	FOREIGN KEY(study_id) REFERENCES nas_study (id) ON DELETE CASCADE, 
	FOREIGN KEY(fingerprint) REFERENCES nas_architecture (fingerprint), 
	UNIQUE (claim), 
	FOREIGN KEY(source_trial_id) REFERENCES nas_trial (id) ON DELETE SET NULL
);
INSERT INTO "nas_trial" VALUES(1,1,0,2,'cf452cf321684d15','dddddddd','rrrrrrrr',0,'complete','79e4844463a1c68534ebf7e75dd5528839a972c5642db785d81384ef93bd5542','{"width": 1.5}','{"width": 1}',1,0,NULL,0.8,NULL,NULL,1,NULL,NULL,NULL,1000,990,50000,5000,9,0,3,3,3,1.5,'cpu','fp32','','{"nas": "0.1.0"}','worker',0.0,1,1.79517867356099629404e+09,1.79517867357499742502e+09,0);
INSERT INTO "nas_trial" VALUES(2,1,1,4,'c10d262207a31601','dddddddd','rrrrrrrr',0,'complete','5174aee7957c76d2a44fa5b611ea98cb897b0cd423e13c6fd29ba6c29b41d96c','{"width": 2.5}','{"width": 2}',0,0,NULL,0.9,NULL,NULL,1,NULL,NULL,NULL,1000,990,50000,5000,9,0,3,3,3,1.5,'cpu','fp32','','{"nas": "0.1.0"}','worker',0.0,1,1.79517867358199810978e+09,1.79517867358799266814e+09,0);
INSERT INTO "nas_trial" VALUES(3,1,2,6,'4de0b3b815186192','dddddddd','rrrrrrrr',0,'pruned',NULL,'{"width": 3.5}','{"width": 3}',1,0,NULL,0.3,NULL,NULL,1,NULL,NULL,NULL,1000,990,50000,5000,9,0,3,3,2,1.5,'cpu','fp32','below the median','{"nas": "0.1.0"}','worker',0.0,1,1.79517867359101033208e+09,1.7951786735980107784e+09,0);
INSERT INTO "nas_trial" VALUES(4,1,3,8,'f719b5bc9454427d','dddddddd','rrrrrrrr',0,'failed',NULL,'{"width": 4.5}','{"width": 4}',0,0,NULL,NULL,NULL,NULL,1,NULL,NULL,NULL,1000,990,50000,5000,9,0,3,3,0,1.5,'cpu','fp32','NaN','{"nas": "0.1.0"}','worker',0.0,1,1.7951786736009881497e+09,1.79517867360400557516e+09,0);
INSERT INTO "nas_trial" VALUES(5,1,4,10,'ec504ed80c43ef90','dddddddd','rrrrrrrr',0,'waiting','0fd247057dccec82f5f79f1e1021034f6b9e5eda727586aa5714c833333c7e38','{"width": 5.5}','{"width": 5}',1,0,NULL,NULL,NULL,NULL,1,NULL,NULL,NULL,1000,990,50000,5000,9,0,3,3,1,0.0,'','','','{}','worker',0.0,0,1.79517867360698270794e+09,NULL,0);
INSERT INTO "nas_trial" VALUES(6,2,0,1,'cf452cf321684d15','dddddddd','rrrrrrrr',0,'complete',NULL,'{"width": 1.5}','{"width": 1}',1,1,1,0.8,NULL,NULL,1,NULL,NULL,NULL,1000,990,50000,5000,9,0,3,3,3,0.0,'cpu','fp32','','{}','worker',0.0,1,1.79517867361498928069e+09,1.79517867361498928069e+09,0);
INSERT INTO "nas_trial" VALUES(7,3,0,2,'cf452cf321684d15','dddddddd','tttttttt',0,'complete','4c7d33ecbe9d9ceabdc7c8faaad2be60a940f52394d63d672bd638120bdd4419','{"width": 1.5}','{"width": 1}',1,0,NULL,0.75,NULL,NULL,1,NULL,NULL,NULL,1000,990,50000,5000,9,0,3,3,3,1.5,'cpu','fp32','','{"nas": "0.1.0"}','worker',0.0,1,1.79563466765700292587e+09,1.79563466768898820878e+09,0);
CREATE TABLE nas_weights (
	trial_id INTEGER NOT NULL, 
	blob BLOB NOT NULL, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES nas_trial (id) ON DELETE CASCADE
);
INSERT INTO "nas_weights" VALUES(1,X'77656967687473');
INSERT INTO "nas_weights" VALUES(7,X'746573746564');
CREATE INDEX nas_architecture_body ON nas_architecture (body);
CREATE INDEX nas_architecture_block_block ON nas_architecture_block (block);
CREATE INDEX nas_trial_revision ON nas_trial (study_id, revision);
CREATE INDEX nas_trial_question ON nas_trial (fingerprint, dataset_hash, recipe_hash, seed);
CREATE INDEX nas_trial_source ON nas_trial (source_trial_id);
CREATE VIEW nas_leaderboard AS
SELECT row_number() OVER (
           PARTITION BY t.dataset_hash ORDER BY t.accuracy DESC, t.params, t.macs, t.fingerprint, t.id
       ) AS rank,
       s.name AS study, t.number AS trial, t.fingerprint AS architecture, a.body AS body,
       t.accuracy AS accuracy, t.accuracy_low AS accuracy_low, t.accuracy_high AS accuracy_high,
       t.repeats AS repeats, t.test_accuracy AS test_accuracy, t.test_low AS test_low, t.test_high AS test_high,
       t.params AS params, t.weights AS weights, t.macs AS macs, t.activations AS activations,
       t.receptive_field AS receptive_field, t.auxiliary_params AS auxiliary_params, t.depth AS depth,
       CAST(a.blocks AS TEXT) AS blocks, s.dataset AS dataset, t.epochs_done AS epochs, t.seed AS seed,
       t.seconds AS seconds, t.reused AS reused, t.precision AS precision, json_extract(t.choice_json, '$.architecture') AS name
FROM nas_trial t
JOIN nas_study s ON s.id = t.study_id
JOIN nas_architecture a ON a.fingerprint = t.fingerprint
WHERE t.state = 'complete' AND s.scored_on = 'validation';
CREATE INDEX nas_trial_ranking ON nas_trial (study_id, state, accuracy DESC, params, macs, fingerprint, id, seconds, projected, reused);
CREATE INDEX nas_trial_dataset_ranking ON nas_trial (dataset_hash, state, accuracy DESC, params, macs, fingerprint, id, study_id);
CREATE INDEX nas_trial_params_ranking ON nas_trial (dataset_hash, state, (length(CAST(params AS TEXT)) * 25 + CAST(substr(CAST(params AS TEXT) || '0', 1, 2) AS INTEGER) / 4), accuracy DESC, params, macs, fingerprint, id, study_id);
CREATE INDEX nas_trial_macs_ranking ON nas_trial (dataset_hash, state, (length(CAST(macs AS TEXT)) * 25 + CAST(substr(CAST(macs AS TEXT) || '0', 1, 2) AS INTEGER) / 4), accuracy DESC, params, macs, fingerprint, id, study_id);
CREATE INDEX nas_trial_unmirrored ON nas_trial (study_id, id) WHERE mirrored IS 0;
CREATE INDEX nas_study_images ON nas_study (dataset_hash, scored_on, dataset, id);
CREATE TRIGGER nas_trial_made AFTER INSERT ON nas_trial WHEN NEW.state = 'complete' BEGIN 
INSERT INTO nas_accuracy_step (dataset_hash, step, trials) VALUES (NEW.dataset_hash, CAST(min(1.0, max(0.0, NEW.accuracy)) * 1000 AS INTEGER), 1)
ON CONFLICT (dataset_hash, step) DO UPDATE SET trials = nas_accuracy_step.trials + 1;
 END;
CREATE TRIGGER nas_trial_gone AFTER DELETE ON nas_trial WHEN OLD.state = 'complete' BEGIN 
UPDATE nas_accuracy_step SET trials = trials - 1 WHERE dataset_hash = OLD.dataset_hash AND step = CAST(min(1.0, max(0.0, OLD.accuracy)) * 1000 AS INTEGER);
DELETE FROM nas_accuracy_step WHERE dataset_hash = OLD.dataset_hash AND step = CAST(min(1.0, max(0.0, OLD.accuracy)) * 1000 AS INTEGER) AND trials = 0;
 END;
CREATE TRIGGER nas_trial_left AFTER UPDATE OF state, accuracy, dataset_hash ON nas_trial WHEN OLD.state = 'complete' BEGIN 
UPDATE nas_accuracy_step SET trials = trials - 1 WHERE dataset_hash = OLD.dataset_hash AND step = CAST(min(1.0, max(0.0, OLD.accuracy)) * 1000 AS INTEGER);
DELETE FROM nas_accuracy_step WHERE dataset_hash = OLD.dataset_hash AND step = CAST(min(1.0, max(0.0, OLD.accuracy)) * 1000 AS INTEGER) AND trials = 0;
 END;
CREATE TRIGGER nas_trial_come AFTER UPDATE OF state, accuracy, dataset_hash ON nas_trial WHEN NEW.state = 'complete' BEGIN 
INSERT INTO nas_accuracy_step (dataset_hash, step, trials) VALUES (NEW.dataset_hash, CAST(min(1.0, max(0.0, NEW.accuracy)) * 1000 AS INTEGER), 1)
ON CONFLICT (dataset_hash, step) DO UPDATE SET trials = nas_accuracy_step.trials + 1;
 END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('nas_study',3);
INSERT INTO "sqlite_sequence" VALUES('nas_trial',7);
COMMIT;
