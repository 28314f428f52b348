//! Reads a server's values without trusting them: a number may be NULL, negative, huge, or text.

use std::borrow::Cow;

use mysql_async::{Row, Value};

/// A finite number, however the server spelled it.
pub(super) fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::NULL | Value::Date(..) | Value::Time(..) => return None,
        Value::Bytes(bytes) => std::str::from_utf8(bytes).ok()?.trim().parse().ok()?,
        Value::Int(number) => *number as f64,
        Value::UInt(number) => *number as f64,
        Value::Float(number) => f64::from(*number),
        Value::Double(number) => *number,
    };
    f64::is_finite(number).then_some(number)
}

/// A whole number from zero up.
pub(super) fn id(value: &Value) -> Option<u64> {
    match value {
        Value::Bytes(bytes) => std::str::from_utf8(bytes).ok()?.parse().ok(),
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::UInt(number) => Some(*number),
        _ => None,
    }
}

/// The longest text that is kept, in bytes: no name, number or identity of a server's comes near it.
const LONGEST_TEXT: usize = 4096;

/// A text; bytes that are no UTF-8 are replaced, and what is longer than any good one is cut.
pub(super) fn text(value: &Value) -> Option<String> {
    borrowed(value).map(Cow::into_owned)
}

/// The same, not copied where it is good.
pub(super) fn borrowed(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST_TEXT)])),
        _ => None,
    }
}

/// The value in a column, by place; NULL where the row is shorter.
pub(super) fn at(row: &Row, place: usize) -> &Value {
    row.as_ref(place).unwrap_or(&Value::NULL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_numbers_are_read_or_refused() {
        let bytes = |text: &str| Value::Bytes(text.as_bytes().to_vec());
        assert_eq!(number(&bytes("-1")), Some(-1.0));
        assert_eq!(number(&bytes("18446744073709551616")), Some(18_446_744_073_709_551_616.0));
        assert_eq!(number(&bytes("4.25")), Some(4.25));
        assert_eq!(number(&bytes("nan")), None);
        assert_eq!(number(&bytes("ON")), None);
        assert_eq!(number(&Value::NULL), None);
        assert_eq!(text(&bytes(&"x".repeat(60_000))).map(|text| text.len()), Some(LONGEST_TEXT));
        assert_eq!(id(&bytes("4294967297")), Some(4_294_967_297));
        assert_eq!(id(&bytes("-1")), None);
    }
}
