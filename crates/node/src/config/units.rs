//! Byte sizes as Kubo's config writes them: `"10GB"`.
//!
//! Spec: decimal and binary unit names of the SI and IEC.
//! Not here: where they are used (`sections.rs`), durations (`cairn_runtime`).

/// Reads `"10GB"` (decimal), `"256KiB"` (binary), `"1000"`; case does not matter.
pub fn byte_len(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().ok()?;
    let unit = text[digits..].trim().to_ascii_lowercase();
    let unit = unit.strip_suffix('b').unwrap_or(&unit);
    let (letter, base) = match unit.strip_suffix('i') {
        Some(letter) => (letter, 1024_f64),
        None => (unit, 1000_f64),
    };
    let power = match letter {
        "" if base < 1024.0 => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        "e" => 6,
        _ => return None,
    };
    let len = number * base.powi(power);
    // Beyond 2^63 a float is a whole number anyway; the cast saturates.
    #[expect(clippy::cast_sign_loss, reason = "the digits have no sign")]
    (len.is_finite() && len < 9.2e18).then_some(len as u64)
}

#[cfg(test)]
mod tests {
    use super::byte_len;

    #[test]
    fn reads_byte_lens() {
        let rows = [
            ("0", 0),
            ("1000", 1000),
            ("10GB", 10_000_000_000),
            ("10gb", 10_000_000_000),
            ("256KiB", 262_144),
            ("1 MiB", 1_048_576),
            ("1.5k", 1500),
            ("2T", 2_000_000_000_000),
            ("7B", 7),
        ];
        for (text, len) in rows {
            assert_eq!(byte_len(text), Some(len), "{text}");
        }
        for text in ["", "GB", "10XB", "-1", "1iB", "1e3", "99999E"] {
            assert_eq!(byte_len(text), None, "{text}");
        }
    }
}
