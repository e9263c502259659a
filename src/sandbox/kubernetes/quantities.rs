//! Quantities in the canonical form in which the API server answers them (recording 08).

/// Nano units in one.
const NANO: i128 = 1_000_000_000;

const BINARY: [(&str, u32); 6] = [("Ki", 1), ("Mi", 2), ("Gi", 3), ("Ti", 4), ("Pi", 5), ("Ei", 6)];
const DECIMAL: [(&str, i32); 10] = [
    ("E", 18),
    ("P", 15),
    ("T", 12),
    ("G", 9),
    ("M", 6),
    ("k", 3),
    ("", 0),
    ("m", -3),
    ("u", -6),
    ("n", -9),
];

/// What a quantity that can't be read is answered with.
pub const SYNTAX: &str = "quantities must match the regular expression \
                          '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

enum Format {
    Binary,
    Decimal,
    Exponent,
}

/// The value in nano units, `None` where the text is no quantity.
pub fn nanos(text: &str) -> Option<i128> {
    parse(text).map(|(value, _)| value)
}

/// The canonical form: `1000m` is `1`, `1024Mi` is `1Gi`, `1.5Gi` is `1536Mi`.
pub fn canonical(text: &str) -> Option<String> {
    let (value, format) = parse(text)?;
    Some(match format {
        // As the API server does: small values have no use for a binary suffix.
        Format::Binary if value.abs() >= 1024 * NANO => binary(value),
        Format::Binary | Format::Decimal => decimal(value),
        Format::Exponent => exponent(value),
    })
}

fn parse(text: &str) -> Option<(i128, Format)> {
    let text = text.trim();
    let unsigned = text.trim_start_matches(['+', '-']);
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let digits = if text.starts_with('-') { -digits } else { digits };
    let places = i32::try_from(fraction.len()).ok()?;
    if let Some((_, power)) = BINARY.iter().find(|(s, _)| *s == suffix) {
        let scaled = digits.checked_mul(1024_i128.checked_pow(*power)?)?;
        return Some((scale(scaled, -places)?, Format::Binary));
    }
    if let Some((_, power)) = DECIMAL.iter().find(|(s, _)| *s == suffix) {
        return Some((scale(digits, power - places)?, Format::Decimal));
    }
    let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    Some((scale(digits, power - places)?, Format::Exponent))
}

/// `digits * 10^power` in nano units, rounded away from zero.
fn scale(digits: i128, power: i32) -> Option<i128> {
    let power = power + 9;
    if power >= 0 {
        return digits.checked_mul(10_i128.checked_pow(power.unsigned_abs())?);
    }
    let divisor = 10_i128.checked_pow(power.unsigned_abs())?;
    let rest = digits % divisor;
    Some(digits / divisor + if rest == 0 { 0 } else { rest.signum() })
}

fn binary(nanos: i128) -> String {
    let value = nanos / NANO + if nanos % NANO == 0 { 0 } else { nanos.signum() };
    let fits = BINARY.iter().rev().find(|(_, power)| value % 1024_i128.pow(*power) == 0);
    match fits {
        Some((suffix, power)) => format!("{}{suffix}", value / 1024_i128.pow(*power)),
        None => value.to_string(),
    }
}

fn decimal(nanos: i128) -> String {
    if nanos == 0 {
        return "0".to_owned();
    }
    let fits = DECIMAL.iter().find(|(_, power)| nanos % unit(*power) == 0);
    fits.map_or_else(|| format!("{nanos}n"), |(s, power)| format!("{}{s}", nanos / unit(*power)))
}

fn exponent(nanos: i128) -> String {
    let fits = DECIMAL.iter().find(|(_, power)| nanos != 0 && nanos % unit(*power) == 0);
    match fits {
        Some((_, 0)) | None => (nanos / NANO).to_string(),
        Some((_, power)) => format!("{}e{power}", nanos / unit(*power)),
    }
}

fn unit(power: i32) -> i128 {
    10_i128.pow((power + 9).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_forms_are_the_servers() {
        let table = [
            ("1000m", "1"),
            ("1024Mi", "1Gi"),
            ("0.5", "500m"),
            ("1073741824", "1073741824"),
            ("1500m", "1500m"),
            ("1.5Gi", "1536Mi"),
            ("1000", "1k"),
            ("5Gi", "5Gi"),
            ("0", "0"),
            ("0Gi", "0"),
            ("100Ki", "100Ki"),
            ("1e3", "1e3"),
            ("0.1m", "100u"),
            ("-1500m", "-1500m"),
        ];
        for (given, wanted) in table {
            assert_eq!(canonical(given).as_deref(), Some(wanted), "{given}");
        }
        for bad in ["", "abc", "1.2.3", "1Zi", ".", "1e"] {
            assert_eq!(canonical(bad), None, "{bad}");
        }
    }
}
