-- Whether the store is closed for good: its account was removed, or has another key. Nothing is served of it.
alter table store add column closed integer not null default 0;
