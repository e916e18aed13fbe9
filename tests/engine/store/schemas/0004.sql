-- A small home as schema 0004 left it: a row in every table.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0004');
CREATE TABLE datasets (
	id VARCHAR(16) NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	actor VARCHAR(200) NOT NULL, 
	created_at FLOAT NOT NULL, 
	content_hash VARCHAR(64) NOT NULL, 
	num_samples INTEGER NOT NULL, 
	num_channels INTEGER NOT NULL, 
	classes JSON NOT NULL, 
	report JSON NOT NULL, "plan" JSON, parent_id VARCHAR(16), change JSON, tags JSON DEFAULT '[]' NOT NULL, notes TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "datasets" VALUES('d0000001','cells','ann',1735689600.0,'abababababababababababababababababababababababababababababababab',3,1,'[{"index": 0, "name": "background", "color": "#000000", "background": true, "source_value": 0}, {"index": 1, "name": "Zelle \u7ec6\u80de", "color": "#e69f00", "background": false, "source_value": 255}]','{"warnings": [{"message": "Only {num}.", "facts": {"num": 3}}], "pairs": 3}','{"version": 1}','d0000000','[{"message": "{num} left out.", "facts": {"num": 1}}]','["pilot"]','From the lab');
CREATE TABLE drafts (
	id VARCHAR(16) NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	actor VARCHAR(200) NOT NULL, 
	created_at FLOAT NOT NULL, 
	source VARCHAR(4000) NOT NULL, 
	"plan" JSON, 
	job_id VARCHAR(16) NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(job_id) REFERENCES jobs (id)
);
INSERT INTO "drafts" VALUES('f0000001','cells','ann',1735689490.0,'uploads/u0000001/cells.zip','{"version": 1}','j0000001');
CREATE TABLE epochs (
	run_id VARCHAR(16) NOT NULL, 
	epoch INTEGER NOT NULL, 
	train_loss FLOAT NOT NULL, 
	val_loss FLOAT NOT NULL, 
	val_dice FLOAT NOT NULL, 
	val_iou FLOAT NOT NULL, 
	val_class_dice JSON NOT NULL, 
	learning_rate FLOAT NOT NULL, 
	seconds FLOAT NOT NULL, 
	images_per_second FLOAT NOT NULL, 
	is_best BOOLEAN NOT NULL, 
	ended_at FLOAT NOT NULL, val_class_iou JSON DEFAULT '[]' NOT NULL, num_steps INTEGER, data_wait_share FLOAT, peak_memory_bytes BIGINT, gpu_utilization FLOAT, 
	PRIMARY KEY (run_id, epoch), 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
INSERT INTO "epochs" VALUES('r0000001',1,0.7,0.6,0.75,0.5,'[0.9, null]',0.004,1.5,20.25,1,1735689706.0,'[0.8, null]',7,0.125,5000000000,0.5);
INSERT INTO "epochs" VALUES('r0000001',2,0.65,0.6,0.5,0.5,'[0.9, null]',0.004,1.5,20.25,0,1735689707.0,'[]',NULL,NULL,NULL,NULL);
CREATE TABLE jobs (
	id VARCHAR(16) NOT NULL, 
	kind VARCHAR(20) NOT NULL, 
	payload JSON NOT NULL, 
	actor VARCHAR(200) NOT NULL, 
	status VARCHAR(20) NOT NULL, 
	created_at FLOAT NOT NULL, 
	started_at FLOAT, 
	ended_at FLOAT, 
	heartbeat_at FLOAT, 
	progress FLOAT NOT NULL, 
	phase VARCHAR(40) NOT NULL, 
	handle JSON, 
	error JSON, 
	result JSON, wish VARCHAR(10), priority INTEGER DEFAULT '0' NOT NULL, rank FLOAT DEFAULT '0' NOT NULL, slot VARCHAR(80), attempts INTEGER DEFAULT '0' NOT NULL, retries INTEGER DEFAULT '0' NOT NULL, queued_at FLOAT DEFAULT '0' NOT NULL, waited_seconds FLOAT DEFAULT '0' NOT NULL, ran_seconds FLOAT DEFAULT '0' NOT NULL, start_progress FLOAT DEFAULT '0' NOT NULL, incidents JSON DEFAULT '[]' NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "jobs" VALUES('j0000001','import','{"source": "uploads/a.zip", "name": "cells"}','ann','failed',1735689500.0,1735689501.0,1735689502.0,1735689501.5,0.25,'failed','null','{"type": "BadArchive", "message": "No {what}.", "facts": {"what": "zip"}}','null',NULL,0,1735689500.0,NULL,1,0,1735689500.0,1.0,1.0,0.0,'[]');
INSERT INTO "jobs" VALUES('j0000002','train','{"run": "r0000001"}','ann','completed',1735689700.0,1735689701.0,1735689720.0,1735689719.5,1.0,'completed','{"host": "lab", "pid": 4343, "process_started_at": 1735689701.5, "gpu": "0"}','null','{"best_epoch": 1}',NULL,2,1735689700.0,'gpu0',2,1,1735689700.0,1.0,19.0,0.0,'[{"type":"ProcessDied","message":"Killed by {signal}.","facts":{"signal":"SIGKILL"},"at":1735689710.0,"attempt":1}]');
INSERT INTO "jobs" VALUES('j0000003','preflight','{"dataset": "d0000001", "config": {"version": 2, "recipe": "quick", "images": {"view": "resized", "image_size_px": 256, "color": "dataset", "intensity": "unit", "clip_share": 0.0, "passes_per_epoch": 1, "foreground_share": 0.0}, "split": {"split_method": "random", "val_share": 0.15, "test_share": 0.15, "split_seed": 0, "num_folds": 5, "fold": 1, "accept_leaks": false}, "model": {"architecture": "unet", "num_levels": 4, "width": 4, "convs_per_level": 2, "kernel_size": 3, "pool_size": 2, "padding": "same", "normalization": "batch", "activation": "relu", "dropout": 0.0, "dropout_at": "deepest_two", "upsampling": "transposed", "activate_upsampling": false, "residual": false, "attention": false, "initialization": "torch", "encoder": "resnet34", "encoder_weights": "none", "start_from": null}, "loss": {"loss": "dice_cross_entropy", "dice_share": 0.5, "focal_gamma": 2.0, "tversky_beta": 0.7, "class_weighting": "none", "class_weights": null, "border_weight": 0.0, "border_sigma_px": 5.0, "deep_supervision": false}, "optimizer": {"optimizer": "adamw", "learning_rate": 0.004, "momentum": 0.9, "weight_decay": 0.0001, "lr_schedule": "cosine", "warmup_share": 0.05, "lr_decay": 0.5, "lr_decay_epochs": 10.0, "clip_norm": 0.0, "accumulation": 1, "ema_decay": 0.0}, "augment": {"flips": "both", "rotate_90": true, "rotation_degrees": 0.0, "scale": 0.0, "shift": 0.0, "shear_degrees": 0.0, "crop": 0.0, "elastic": "none", "elastic_px": 10.0, "elastic_grid": 3, "elastic_smoothing_px": 16.0, "brightness": 0.2, "contrast": 0.2, "gamma": 0.0, "noise": 0.0, "blur_px": 0.0, "channel_shuffle": false, "cutout": 0.0, "border": "mirror"}, "schedule": {"epochs": 2, "max_minutes": null, "batch_size": 4, "early_stop_epochs": 0, "seed": 0}, "predict": {"threshold": 0.5, "averaging": "none", "overlap": 0.25}, "compute": {"device": "auto", "precision": "auto", "compiled": "auto", "deterministic": false}}, "want": ["rates"]}','ann','completed',1735689650.0,1735689651.0,1735689660.0,1735689659.5,1.0,'completed',NULL,NULL,'{"rates": {"suggestion": 0.003}}',NULL,0,1735689650.0,NULL,1,0,1735689650.0,1.0,9.0,0.0,'[]');
CREATE TABLE machine_samples (
	host VARCHAR(200) NOT NULL, 
	at FLOAT NOT NULL, 
	cpu_share FLOAT NOT NULL, 
	memory_used_bytes BIGINT NOT NULL, 
	memory_total_bytes BIGINT NOT NULL, 
	disk_free_bytes BIGINT NOT NULL, 
	disk_total_bytes BIGINT NOT NULL, 
	gpus JSON NOT NULL, 
	PRIMARY KEY (host, at)
);
INSERT INTO "machine_samples" VALUES('lab',1735689790.0,0.5,1000,16000000000,5000,6000,'[{"name": "H100", "utilization": 0.9}]');
CREATE TABLE notices (
	job_id VARCHAR(16) NOT NULL, 
	attempt INTEGER NOT NULL, 
	channel VARCHAR(20) NOT NULL, 
	created_at FLOAT NOT NULL, 
	tries INTEGER NOT NULL, 
	next_try_at FLOAT, 
	sent_at FLOAT, 
	error TEXT, 
	PRIMARY KEY (job_id, attempt, channel), 
	FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
INSERT INTO "notices" VALUES('j0000002',2,'webhook',1735689720.0,1,NULL,1735689721.0,NULL);
CREATE TABLE runs (
	id VARCHAR(16) NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	dataset_id VARCHAR(16) NOT NULL, 
	job_id VARCHAR(16) NOT NULL, 
	actor VARCHAR(200) NOT NULL, 
	created_at FLOAT NOT NULL, 
	config JSON NOT NULL, 
	split JSON NOT NULL, 
	num_parameters INTEGER NOT NULL, 
	environment JSON, reasons JSON DEFAULT '{}' NOT NULL, preflight JSON, adjustments JSON DEFAULT '{}' NOT NULL, scored_at FLOAT, tags JSON DEFAULT '[]' NOT NULL, notes TEXT DEFAULT '' NOT NULL, archived BOOLEAN DEFAULT 0 NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(dataset_id) REFERENCES datasets (id), 
	UNIQUE (job_id), 
	FOREIGN KEY(job_id) REFERENCES jobs (id)
);
INSERT INTO "runs" VALUES('r0000001','first','d0000001','j0000002','ann',1735689700.0,'{"version": 2, "recipe": "quick", "images": {"view": "resized", "image_size_px": 256, "color": "dataset", "intensity": "unit", "clip_share": 0.0, "passes_per_epoch": 1, "foreground_share": 0.0}, "split": {"split_method": "random", "val_share": 0.15, "test_share": 0.15, "split_seed": 0, "num_folds": 5, "fold": 1, "accept_leaks": false}, "model": {"architecture": "unet", "num_levels": 4, "width": 4, "convs_per_level": 2, "kernel_size": 3, "pool_size": 2, "padding": "same", "normalization": "batch", "activation": "relu", "dropout": 0.0, "dropout_at": "deepest_two", "upsampling": "transposed", "activate_upsampling": false, "residual": false, "attention": false, "initialization": "torch", "encoder": "resnet34", "encoder_weights": "none", "start_from": null}, "loss": {"loss": "dice_cross_entropy", "dice_share": 0.5, "focal_gamma": 2.0, "tversky_beta": 0.7, "class_weighting": "none", "class_weights": null, "border_weight": 0.0, "border_sigma_px": 5.0, "deep_supervision": false}, "optimizer": {"optimizer": "adamw", "learning_rate": 0.004, "momentum": 0.9, "weight_decay": 0.0001, "lr_schedule": "cosine", "warmup_share": 0.05, "lr_decay": 0.5, "lr_decay_epochs": 10.0, "clip_norm": 0.0, "accumulation": 1, "ema_decay": 0.0}, "augment": {"flips": "both", "rotate_90": true, "rotation_degrees": 0.0, "scale": 0.0, "shift": 0.0, "shear_degrees": 0.0, "crop": 0.0, "elastic": "none", "elastic_px": 10.0, "elastic_grid": 3, "elastic_smoothing_px": 16.0, "brightness": 0.2, "contrast": 0.2, "gamma": 0.0, "noise": 0.0, "blur_px": 0.0, "channel_shuffle": false, "cutout": 0.0, "border": "mirror"}, "schedule": {"epochs": 2, "max_minutes": null, "batch_size": 4, "early_stop_epochs": 0, "seed": 0}, "predict": {"threshold": 0.5, "averaging": "none", "overlap": 0.25}, "compute": {"device": "auto", "precision": "auto", "compiled": "auto", "deterministic": false}}','{"train": [0], "val": [2], "test": [1]}',1717,'{"device": "CPU", "torch": "2.11"}','{"width": {"message": "{cores} cores.", "facts": {"cores": 2}}}','{"seconds_per_step": 0.25, "notes": []}','{"batch_size": 2, "accumulation": 2}',1735689720.0,'["night"]','From the lab',1);
CREATE TABLE samples (
	dataset_id VARCHAR(16) NOT NULL, 
	position INTEGER NOT NULL, 
	name VARCHAR(1000) NOT NULL, 
	image_file VARCHAR(100) NOT NULL, 
	mask_file VARCHAR(100) NOT NULL, 
	width INTEGER NOT NULL, 
	height INTEGER NOT NULL, 
	class_pixels JSON NOT NULL, split VARCHAR(10) DEFAULT 'train' NOT NULL, fold INTEGER, group_name VARCHAR(1000), twins INTEGER, facts JSON DEFAULT '{}' NOT NULL, 
	PRIMARY KEY (dataset_id, position), 
	FOREIGN KEY(dataset_id) REFERENCES datasets (id) ON DELETE CASCADE
);
INSERT INTO "samples" VALUES('d0000001',0,'images/a','000000.png','000000.png',9,7,'[60, 3]','test',NULL,NULL,NULL,'{}');
INSERT INTO "samples" VALUES('d0000001',1,'images/b “2”','000001.jpg','000001.png',9,7,'[60, 3]','train',1,'sub-1',0,'{"brightness": 0.5}');
INSERT INTO "samples" VALUES('d0000001',2,'images/c','000002.png','000002.png',9,7,'[0, 63]','val',NULL,NULL,NULL,'{}');
CREATE TABLE scores (
	run_id VARCHAR(16) NOT NULL, 
	position INTEGER NOT NULL, 
	class_index INTEGER NOT NULL, 
	split VARCHAR(10) NOT NULL, 
	tp INTEGER NOT NULL, 
	fp INTEGER NOT NULL, 
	fn INTEGER NOT NULL, 
	histograms BLOB NOT NULL, 
	PRIMARY KEY (run_id, position, class_index), 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
INSERT INTO "scores" VALUES('r0000001',1,0,'test',50,1,10,X'789C63601805A36014E0023603ED8021009807DA01A360148C02B2000037C30040');
INSERT INTO "scores" VALUES('r0000001',1,1,'test',2,10,1,X'789C63601805A36014E002CC03ED8021006C06DA01A360148C02B20000F6B00040');
INSERT INTO "scores" VALUES('r0000001',2,0,'val',0,0,0,X'789C63601805A360148C02F281FD403B60148C825140160000F3440040');
INSERT INTO "scores" VALUES('r0000001',2,1,'val',63,0,0,X'789C63601805A36014E002F603ED8051300A46C128A01100003B2F0040');
CREATE TABLE uploads (
	id VARCHAR(16) NOT NULL, 
	actor VARCHAR(200) NOT NULL, 
	file_name VARCHAR(255) NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	created_at FLOAT NOT NULL, 
	touched_at FLOAT NOT NULL, 
	digests JSON NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "uploads" VALUES('u0000001','ann','cells.zip',5000000000,1735689400.0,1735689401.0,'["00ff"]');
CREATE TABLE workers (
	host VARCHAR(200) NOT NULL, 
	pid INTEGER NOT NULL, 
	stamp VARCHAR(80) NOT NULL, 
	heartbeat_at FLOAT NOT NULL, 
	PRIMARY KEY (host)
);
INSERT INTO "workers" VALUES('lab',4242,'boot-1:77',1735689790.5);
CREATE INDEX jobs_by_status ON jobs (status, created_at);
CREATE INDEX ix_runs_dataset_id ON runs (dataset_id);
CREATE INDEX ix_drafts_job_id ON drafts (job_id);
CREATE INDEX ix_datasets_parent_id ON datasets (parent_id);
COMMIT;
