//! Names of types, functions, variants, files and settings that are refused because a standard term exists.

use std::path::Path;

use super::walk::{File, Tree};

/// Refused names, by the part of the path in which they are: a name that is right elsewhere has a narrower scope.
const REFUSED: &[(&str, &str)] = &[
    (
        "",
        "House Needs NodeList AsTheyAre Doors doors Door Front Ids Room Seat Taken look_around told_to_leave converse talk \
         excuse Arriving Leaving Painted paint remark Ledger BREATH carry_out Deed Standing Asker Wishes \
         hand_over try_the_way ways NotTaken Letter Posted Fate Wording Heads Minute let_go catch_up throw_away put_off Fold \
         Verdict owes_nothing Outlook LookOut look_out is_inhabited ToTheEnd Note Marks Visitor Ask Presented Holder \
         speak_oauth respeak Place Bodies Liking FRAME Vigilance Callers Stock Complaint Trouble Wrong Hand tend LogWatch \
         Known Draft freeze Recalled Lately lately withdraw Outside Trace Claim Alone Moment Wish lay lay_all \
         laid_over laid stillborn Bite Belongings dead_batches Scanners Leg Served place_of Damaged Unsound Silent Chance \
         SeededChance Memo Remembered Flight board Generations recall Witness What Act Asked because Recipe Verifiers Unlocked \
         weigh harder harden Counted Mailed settled take_in NewPlain NodeOf Lab Ground Stage World SENTENCES patience",
    ),
    ("/control/", "Order order Answer answer standing give Switch"),
    ("/fxa/", "Incoming Ticket Purpose Members off explain Words"),
    ("/user/", "Exchange Pass guard"),
    ("/pages/", "Fault"),
    ("/wire/", "Work finish mark"),
    ("/sync/", "Rest"),
    ("/mail/", "Carrier part Said Late"),
    ("/security_log/", "tidy cut"),
    ("/check/", "ask mend look good doubtful bad"),
    ("foxden-server/", "Record Line say Look fault greeting ask"),
    ("/engine/", "Entry"),
    (
        "/engine/sqlite",
        "Command Step Waiting Work Outcome Stop Failed cache bar settle tell ask given dropped Seen told \
         under_way",
    ),
    ("/engine/memory", "Seen dropped"),
    (
        "foxden-accounts/",
        "Then Found Alias Changed Proof Checked spend moment about plain Consent tell settle",
    ),
    ("/tests/golden/", "keep play"),
];

/// Refused names of enum variants. Most names above are common words, which are right as variants.
const REFUSED_VARIANTS: &[(&str, &str)] = &[
    ("", "AsTheyAre Undone Unsettled Stillborn"),
    ("/fxa/", "Off Retired"),
    ("foxden-server/src/", "Written Left"),
    ("/mail/", "Said Late"),
    ("/engine/", "Alone"),
];

// Not in these lists: `Peer` and `horizon`, which stay; `Finding`, of which only the constructors had private names;
// `door` and "sentence", which name no item; and "the log" for SQLite's WAL, which no check can tell from other logs.

/// Settings and chores that had another name before the first release.
const SETTINGS: [&str; 11] = [
    "rests",
    "files",
    "stop_timeout",
    "life",
    "channels",
    "new_users",
    "compress",
    "strict_nodes",
    "clear-sign-ins",
    "empty-closed-stores",
    "purge-expired",
];

/// The folder whose tests use refused names.
const THIS: &str = "xtask/src/tidy/";

/// Files, types and functions with a refused name.
pub fn definitions(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for file in tree.rust().filter(|file| !file.path.starts_with(THIS)) {
        if is_refused(&file.path, stem(&file.path)) {
            faults.push(format!("{}: the file has a refused name", file.path));
        }
        let mut variants = Variants::default();
        for (number, line) in (1..).zip(file.text.lines()) {
            let item = defined(line).filter(|name| is_refused(&file.path, name));
            let variant = variants.next(line);
            let variant = variant.filter(|name| is_listed(REFUSED_VARIANTS, &file.path, name));
            for name in item.into_iter().chain(variant) {
                faults.push(format!(
                    "{}:{number}: {name} is a refused name; use the standard term",
                    file.path
                ));
            }
        }
    }
    faults
}

/// Finds the variants of enums, line by line.
#[derive(Default)]
struct Variants {
    /// The indentation of the enum that the line is in.
    indent: Option<usize>,
}

impl Variants {
    /// The variant that this line defines.
    fn next<'a>(&mut self, line: &'a str) -> Option<&'a str> {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        let Some(outer) = self.indent else {
            let is_enum = text.ends_with('{') && text.split_whitespace().any(|word| word == "enum");
            self.indent = (is_enum && defined(line).is_some()).then_some(indent);
            return None;
        };
        if indent == outer && text.starts_with('}') {
            self.indent = None;
        }
        let name = text.split(|letter: char| !letter.is_alphanumeric()).next()?;
        let is_variant = indent == outer + 4 && name.starts_with(|letter: char| letter.is_ascii_uppercase());
        is_variant.then_some(name)
    }
}

/// Settings with a refused name, by the generated list of all settings and by what documents say of chores.
pub fn settings(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for document in tree.files().filter(|file| is_document(file)) {
        for (number, line) in (1..).zip(document.text.lines()) {
            let heading = line.strip_prefix("### ").map(|heading| heading.trim_matches('`'));
            let quoted = line
                .split('`')
                .skip(1)
                .step_by(2)
                .filter(|name| name.contains('-'));
            for name in heading
                .into_iter()
                .chain(quoted)
                .filter(|name| SETTINGS.contains(name))
            {
                faults.push(format!("{}:{number}: {name} is a refused name", document.path));
            }
        }
    }
    faults
}

fn is_document(file: &File) -> bool {
    let is_markdown = Path::new(&file.path).extension().is_some_and(|is| is == "md");
    is_markdown && file.path.starts_with("docs/") && !file.path.starts_with("docs/decisions/")
}

/// The name of the module in a file.
fn stem(path: &str) -> &str {
    let path = path.trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    path.rsplit('/').next().unwrap_or(path)
}

fn is_refused(path: &str, name: &str) -> bool {
    is_listed(REFUSED, path, name)
}

fn is_listed(list: &[(&str, &str)], path: &str, name: &str) -> bool {
    let in_scope = list.iter().filter(|(scope, _)| path.contains(scope));
    in_scope
        .flat_map(|(_, names)| names.split_whitespace())
        .any(|refused| refused == name)
}

/// The name of the item that begins on this line.
fn defined(line: &str) -> Option<&str> {
    const ITEMS: [&str; 8] = ["fn", "struct", "enum", "trait", "type", "static", "mod", "union"];
    const QUALIFIERS: [&str; 6] = ["pub", "default", "async", "unsafe", "extern", "\"C\""];
    let mut words = line.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let is_item = ITEMS.contains(&word) || word == "const" && words.peek() != Some(&"fn");
        if is_item {
            let name = words.next()?;
            return name
                .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
                .next();
        }
        let is_qualifier =
            QUALIFIERS.contains(&word) || word == "const" || word.starts_with("pub(") || word.ends_with(')');
        if !is_qualifier {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_found_by_their_names() {
        for (line, name) in [
            ("pub(super) struct Hand {", Some("Hand")),
            ("    pub(in crate::engine) const fn tend(&self)", Some("tend")),
            ("pub const BREATH: u8 = 1;", Some("BREATH")),
            ("async fn talk<S>(stream: S)", Some("talk")),
            ("pub mod lately;", Some("lately")),
            ("// struct Hand", None),
            ("let x = Hand::new();", None),
            ("use super::Hand;", None),
        ] {
            assert_eq!(defined(line), name, "{line}");
        }
    }

    #[test]
    fn variants_are_found_in_enums_alone() {
        let text = "pub enum Cause {\n    /// A reply.\n    Said(String),\n    Late {\n        Said: u8,\n    },\n}\n    Said(x) => {}";
        let mut variants = Variants::default();
        let found: Vec<&str> = text.lines().filter_map(|line| variants.next(line)).collect();
        assert_eq!(found, ["Said", "Late"]);
    }

    #[test]
    fn a_name_is_refused_in_its_scope() {
        assert!(is_refused(
            "crates/foxden-storage/src/engine/sqlite/writer.rs",
            "Hand"
        ));
        assert!(is_refused(
            "crates/foxden-storage/src/engine/sqlite/step.rs",
            "Command"
        ));
        assert!(!is_refused(
            "crates/foxden-server/src/control/command.rs",
            "Command"
        ));
        assert!(!is_refused("crates/foxden-storage/src/command.rs", "Order"));
        assert_eq!(stem("crates/a/src/engine/mod.rs"), "engine");
        assert_eq!(stem("crates/a/src/lately.rs"), "lately");
    }
}
