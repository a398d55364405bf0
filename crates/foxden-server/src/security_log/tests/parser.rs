//! Reads CEF as its specification has it: seven fields between pipes, then keys and values. It was written from the
//! specification and shares nothing with the writer.

/// A line, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    pub vendor: String,
    pub product: String,
    pub version: String,
    pub id: String,
    pub name: String,
    pub severity: u8,
    pub fields: Vec<(String, String)>,
}

impl Parsed {
    pub fn get(&self, key: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(name, _)| name == key);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{key} stands there twice");
        value
    }
}

/// Takes a line apart; `Err` says where it is none.
pub fn parse(line: &str) -> Result<Parsed, String> {
    let line = line
        .strip_prefix("CEF:0|")
        .ok_or("it does not begin as a line does")?;
    let mut header = vec![String::new()];
    let mut characters = line.chars();
    while header.len() < 7 {
        let last = header.last_mut().ok_or("no field")?;
        match characters.next().ok_or("the header ends early")? {
            '\\' => match characters.next() {
                Some(escaped @ ('\\' | '|')) => last.push(escaped),
                other => return Err(format!("{other:?} is escaped in the header")),
            },
            '|' => header.push(String::new()),
            character => last.push(character),
        }
    }
    let [vendor, product, version, id, name, severity, _]: [String; 7] =
        header.try_into().map_err(|_| "seven fields")?;
    Ok(Parsed {
        vendor,
        product,
        version,
        id,
        name,
        severity: severity.parse().map_err(|_| "a severity that is no number")?,
        fields: extension(characters.as_str())?,
    })
}

/// A key is letters and digits before an equals sign that nothing escapes; its value goes on to the next key.
fn extension(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut pieces: Vec<String> = vec![String::new()];
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let last = pieces.last_mut().ok_or("no piece")?;
        match character {
            '=' => pieces.push(String::new()),
            '\\' => {
                last.push('\\');
                last.push(characters.next().ok_or("it ends within an escape")?);
            }
            character => last.push(character),
        }
    }
    let mut pieces = pieces.into_iter();
    let mut key = pieces.next().ok_or("no key")?;
    let mut fields = Vec::new();
    let rest: Vec<String> = pieces.collect();
    for (at, piece) in rest.iter().enumerate() {
        let is_last = at + 1 == rest.len();
        let (value, next) = if is_last {
            (piece.as_str(), "")
        } else {
            piece.rsplit_once(' ').ok_or("no space before a key")?
        };
        if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(format!("{key:?} is no key"));
        }
        fields.push((std::mem::replace(&mut key, next.to_owned()), unescaped(value)?));
    }
    Ok(fields)
}

fn unescaped(value: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        out.push(match character {
            '\\' => match characters.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some(escaped @ ('\\' | '=')) => escaped,
                other => return Err(format!("{other:?} is escaped in a value")),
            },
            character => character,
        });
    }
    Ok(out)
}

/// The part of a text that a reader sees: not too much of it, and numbers for what cannot be seen.
pub fn seen(text: &str, most: usize) -> String {
    let mut out: String = text.chars().take(most).map(visible).collect();
    if text.chars().count() > most {
        out.push('…');
    }
    out
}

fn visible(character: char) -> String {
    if foxden_model::is_invisible(character) && !matches!(character, '\n' | '\r') {
        format!("\\u{:04x}", u32::from(character))
    } else {
        character.to_string()
    }
}
