//! A plain write of MySQL and MariaDB in one round trip: a script that ends at its first statement if the user's state is not the one
//! that is known.

use std::fmt::Write;

use super::connection::{Connection, Dialect};
use super::fault::Fault;
use super::landing::Gate;
use super::mysql::{REPLACED_ROW, kept_or_given};
use super::object_change::{ObjectChange, ObjectField, ObjectTarget, PlainChanges, Totals};

/// Applies changes of objects to a collection that is there. `None`: the user's row has another mark, or the write may not land, and
/// nothing was changed.
///
/// The first statement locks the user's row, and the script ends there if it has not the known mark: it gets one of NULL, which it
/// cannot have. So it does at the first object if there is no such row, and before the commit if the write may not land.
pub(super) async fn upsert_if_known(
    connection: &mut Connection,
    user: i64,
    gate: &Gate,
    target: ObjectTarget,
    changes: PlainChanges<'_, '_>,
) -> Result<Option<Totals>, Fault> {
    match connection.script(script(user, gate, target, changes)).await {
        Ok(answers) => {
            let replaced = answers.iter().flatten().next();
            let replaced =
                replaced.ok_or_else(|| sqlx::Error::Protocol("no answer to an upsert".to_owned()))?;
            let replaced = replaced.int(0)?;
            Ok(Some(totals(changes.all, replaced.cast_unsigned())))
        }
        Err(fault) if fault.is_about_null() => {
            connection.script("ROLLBACK".to_owned()).await?;
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

fn script(user: i64, gate: &Gate, target: ObjectTarget, changes: PlainChanges<'_, '_>) -> String {
    let next = target.time.next.hundredths();
    let bytes: usize = changes.all.iter().map(size).sum();
    let mut script = String::with_capacity(bytes + changes.all.len() * 128 + 1024);
    let Gate { known, mark, .. } = *gate;
    let number = target.collection;
    // Writing to a text cannot fail.
    let _ = write!(
        script,
        "BEGIN; DO LAST_INSERT_ID(0); \
         UPDATE sync_user SET modified = {next}, mark = CASE WHEN mark = {known} THEN {mark} END WHERE uid = {user}; \
         INSERT INTO sync_object (uid, collection, id, modified, size, payload"
    );
    for field in changes.given.iter() {
        let _ = write!(script, ", {}", field.column());
    }
    script.push_str(") VALUES ");
    for (at, change) in changes.all.iter().enumerate() {
        if at == 0 {
            let _ = write!(
                script,
                "((SELECT uid FROM sync_user WHERE uid = {user}), {number}, "
            );
        } else {
            let _ = write!(script, ", ({user}, {number}, ");
        }
        add_text(&mut script, change.id);
        let _ = write!(script, ", {next}, {}, ", size(change));
        add_text(&mut script, change.payload.unwrap_or_default());
        for field in changes.given.iter() {
            script.push_str(", ");
            add_field(&mut script, field, change);
        }
        script.push(')');
    }
    let now = target.time.now.hundredths();
    let _ = write!(
        script,
        " ON DUPLICATE KEY UPDATE {}; \
         UPDATE sync_collection SET modified = {}, \
         objects = objects + {} - CAST(LAST_INSERT_ID() DIV {REPLACED_ROW} AS signed), \
         bytes = bytes + {bytes} - CAST(LAST_INSERT_ID() MOD {REPLACED_ROW} AS signed) \
         WHERE uid = {user} AND name = '{}'; SELECT CAST(LAST_INSERT_ID() AS signed); COMMIT",
        kept_or_given(changes.given, &now.to_string()),
        Dialect::Mysql.if_lands(gate.landing, next),
        changes.all.len(),
        gate.collection
    );
    script
}

fn totals(changes: &[ObjectChange<'_>], replaced: u64) -> Totals {
    let stored = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    Totals {
        objects: stored(changes.len()) - (replaced / REPLACED_ROW).cast_signed(),
        bytes: stored(changes.iter().map(size).sum()) - (replaced % REPLACED_ROW).cast_signed(),
    }
}

fn size(change: &ObjectChange<'_>) -> usize {
    change.payload.map_or(0, str::len)
}

fn add_field(script: &mut String, field: ObjectField, change: &ObjectChange<'_>) {
    let number = |script: &mut String, number: Option<i64>| match number {
        Some(number) => {
            let _ = write!(script, "{number}");
        }
        None => script.push_str("NULL"),
    };
    match field {
        ObjectField::Sortindex => number(script, change.sortindex),
        ObjectField::Expiry => number(script, change.expiry),
        ObjectField::ParentId => add_text_or_null(script, change.parent_id),
        ObjectField::PredecessorId => add_text_or_null(script, change.predecessor_id),
    }
}

fn add_text_or_null(script: &mut String, text: Option<&str>) {
    match text {
        Some(text) => add_text(script, text),
        None => script.push_str("NULL"),
    }
}

/// Adds a text as a literal. One with anything but plain characters is written by its bytes: nothing in it is ever escaped.
fn add_text(script: &mut String, text: &str) {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'\'' | b'\\');
    if text.as_bytes().iter().all(is_plain) {
        let _ = write!(script, "'{text}'");
    } else {
        script.push_str("x'");
        script.extend(text.bytes().flat_map(|byte| [byte >> 4, byte & 15]).map(digit));
        script.push('\'');
    }
}

fn digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16).unwrap_or('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_no_part_of_the_statement() {
        let literal = |text: &str| {
            let mut script = String::new();
            add_text(&mut script, text);
            script
        };
        assert_eq!(literal(""), "''");
        assert_eq!(literal(r#"{"a": 1} -- ; ?"#), r#"'{"a": 1} -- ; ?'"#);
        assert_eq!(literal("'; COMMIT"), "x'273b20434f4d4d4954'");
        assert_eq!(literal(r"\"), "x'5c'");
        assert_eq!(literal("\0\n\u{7f}ü"), "x'000a7fc3bc'");
    }
}
