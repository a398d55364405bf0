//! Every engine keeps every promise: one test for each sentence and engine.

use std::path::Path;
use std::sync::Arc;

use foxden_storage::conformance::Ground;
use foxden_storage::{Engine, MemoryEngine, SqliteEngine, SqliteOptions};

mod memory {
    use super::*;

    async fn open(ground: &Ground) -> Arc<dyn Engine> {
        ground.shared(|| Arc::new(MemoryEngine::new(ground.clock.clone(), ground.chance.clone())))
    }

    foxden_storage::conformance_tests!(open);
}

mod sqlite {
    use super::*;

    async fn open(ground: &Ground) -> Arc<dyn Engine> {
        let options = SqliteOptions::new(ground.folder().join("storage"));
        let engine = SqliteEngine::open(options, ground.clock.clone(), ground.chance.clone());
        Arc::new(engine.expect("the folder is fresh"))
    }

    foxden_storage::conformance_tests!(open);
}

/// A sentence that is written down and never run would prove nothing.
#[test]
fn every_sentence_is_run() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/conformance");
    let mut written = Vec::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let theme = path.file_stem().unwrap().to_str().unwrap().to_owned();
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            if let Some((name, "lab: &Lab) {")) = line
                .strip_prefix("pub async fn ")
                .and_then(|rest| rest.split_once('('))
            {
                written.push(format!("{theme}::{name}"));
            }
        }
    }
    written.sort();
    let mut run: Vec<_> = memory::SENTENCES.iter().map(ToString::to_string).collect();
    run.sort();
    assert_eq!(written, run);
    assert!(run.len() > 100);
}
