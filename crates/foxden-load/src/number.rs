//! Conversions between whole numbers and fractions, for statistics.

/// The nearest fraction.
pub fn fraction(number: u64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "statistics need no more than 15 digits"
    )]
    let fraction = number as f64;
    fraction
}

/// The nearest whole number. What is negative or not a number becomes zero.
pub fn whole(fraction: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the conversion saturates"
    )]
    let whole = fraction.round() as u64;
    whole
}

/// One number divided by another; zero where there is nothing to divide by.
pub fn ratio(part: f64, of: f64) -> f64 {
    if of == 0.0 { 0.0 } else { part / of }
}
