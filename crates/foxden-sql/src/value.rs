//! Parameters of statements, and values of rows.

use crate::SqlError;

/// A value; `None` is NULL. It has a type, since some databases require one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number; also a boolean, as 0 or 1.
    Integer(Option<i64>),
    /// A text.
    Text(Option<String>),
    /// Bytes.
    Blob(Option<Vec<u8>>),
}

/// One row of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row(pub(crate) Vec<Value>);

/// A type that a column can be read as.
pub trait FromValue: Sized {
    /// Reads it; `None` when it holds something else.
    fn from_value(value: Value) -> Option<Self>;
}

/// A type that may be NULL in the values of a statement.
pub trait Nullable {
    /// Its NULL.
    const NULL: Value;
}

/// The values of a statement, in the order of its placeholders.
#[macro_export]
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$($crate::Value::from($value)),*] };
}

/// The NULL of a column without a known type: it is read as whatever the program expects.
pub(crate) const UNTYPED_NULL: Value = Value::Text(None);

/// Refuses texts with U+0000: PostgreSQL does not keep them, and all databases are to hold the same.
pub(crate) fn check(values: &[Value]) -> Result<(), SqlError> {
    let has_null_character = |value: &Value| matches!(value, Value::Text(Some(text)) if text.contains('\0'));
    if values.iter().any(has_null_character) {
        return Err(SqlError::NullCharacter);
    }
    Ok(())
}

impl Value {
    const fn is_null(&self) -> bool {
        matches!(self, Self::Integer(None) | Self::Text(None) | Self::Blob(None))
    }
}

impl Row {
    /// Takes the column with that index; a second time it is empty.
    pub fn take<T: FromValue>(&mut self, column: usize) -> Result<T, SqlError> {
        let slot = self.0.get_mut(column).ok_or(SqlError::Mismatch)?;
        let value = std::mem::replace(slot, UNTYPED_NULL);
        T::from_value(value).ok_or(SqlError::Mismatch)
    }
}

macro_rules! integers {
    ($($kind:ty),*) => { $(
        impl FromValue for $kind {
            fn from_value(value: Value) -> Option<Self> {
                match value {
                    Value::Integer(number) => number?.try_into().ok(),
                    Value::Text(_) | Value::Blob(_) => None,
                }
            }
        }
    )* };
}

integers!(i64, u64, u32);

impl FromValue for Value {
    fn from_value(value: Value) -> Option<Self> {
        Some(value)
    }
}

impl FromValue for bool {
    fn from_value(value: Value) -> Option<Self> {
        i64::from_value(value).map(|number| number != 0)
    }
}

impl FromValue for String {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Text(text) => text,
            Value::Integer(_) | Value::Blob(_) => None,
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Blob(bytes) => bytes,
            Value::Integer(_) | Value::Text(_) => None,
        }
    }
}

impl<const N: usize> FromValue for [u8; N] {
    fn from_value(value: Value) -> Option<Self> {
        Vec::from_value(value)?.try_into().ok()
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Option<Self> {
        if value.is_null() {
            return Some(None);
        }
        T::from_value(value).map(Some)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(Some(number))
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Integer(Some(number.into()))
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Integer(Some(flag.into()))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(Some(text.clone()))
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Blob(Some(bytes))
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Blob(Some(bytes.to_vec()))
    }
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(bytes: [u8; N]) -> Self {
        Self::Blob(Some(bytes.to_vec()))
    }
}

impl<T: Nullable> From<Option<T>> for Value
where
    Self: From<T>,
{
    fn from(value: Option<T>) -> Self {
        value.map_or(T::NULL, Self::from)
    }
}

impl Nullable for i64 {
    const NULL: Value = Value::Integer(None);
}

impl Nullable for u32 {
    const NULL: Value = Value::Integer(None);
}

impl Nullable for String {
    const NULL: Value = Value::Text(None);
}

impl Nullable for Vec<u8> {
    const NULL: Value = Value::Blob(None);
}

impl<const N: usize> Nullable for [u8; N] {
    const NULL: Value = Value::Blob(None);
}

impl<T: ToOwned<Owned: Nullable> + ?Sized> Nullable for &T {
    const NULL: Value = T::Owned::NULL;
}
