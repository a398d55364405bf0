//! The QR code of an address, as SVG.

use std::fmt::Write;

use qrcodegen::{QrCode, QrCodeEcc};

/// Empty modules around the code, which cameras need.
const QUIET: i32 = 3;

/// Draws an address as one dark path, on the white plate that the style sheet puts under `svg.qr`. An address too
/// long for any code gives nothing.
pub(super) fn draw(address: &str) -> String {
    let Ok(code) = QrCode::encode_text(address, QrCodeEcc::Medium) else {
        return String::new();
    };
    let side = code.size() + 2 * QUIET;
    let mut path = String::new();
    for y in 0..code.size() {
        let mut x = 0;
        while x < code.size() {
            let width = (x..code.size())
                .take_while(|&column| code.get_module(column, y))
                .count();
            let width = i32::try_from(width).unwrap_or(0);
            if width > 0 {
                let (left, top) = (x + QUIET, y + QUIET);
                // Writing into a string does not fail.
                let _ = write!(path, "M{left} {top}h{width}v1h-{width}z");
            }
            x += width.max(1);
        }
    }
    format!(
        "<svg class=\"qr\" viewBox=\"0 0 {side} {side}\" role=\"img\" aria-label=\"QR code of {address}\" \
         shape-rendering=\"crispEdges\"><path d=\"{path}\" fill=\"#1a1512\"/></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dark_module_is_drawn_once() {
        let address = "https://sync.example.org/";
        let code = QrCode::encode_text(address, QrCodeEcc::Medium).unwrap();
        let dark = (0..code.size())
            .flat_map(|y| (0..code.size()).map(move |x| (x, y)))
            .filter(|&(x, y)| code.get_module(x, y))
            .count();
        let drawn: usize = draw(address)
            .split('h')
            .skip(1)
            .filter_map(|part| part.split('v').next()?.parse::<usize>().ok())
            .sum();
        assert_eq!(drawn, dark);
    }
}
