//! Memory over time, as an SVG.

use std::fmt::Write as _;

use super::Sample;

const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 300.0;
const MARGIN: f64 = 50.0;

/// Draws memory and disk over time, with lines where a part of the run begins and where memory began.
#[expect(clippy::cast_precision_loss, reason = "sizes and seconds that are drawn")]
pub fn draw(samples: &[Sample], fresh: u64, begun: &[(&str, f64)]) -> String {
    let last = samples.last().map_or(1.0, |sample| sample.second).max(1.0);
    let most = samples.iter().map(|sample| sample.memory.max(sample.disk)).max();
    let most = most.unwrap_or(1).max(fresh) as f64;
    let x = |second: f64| MARGIN + second / last * WIDTH;
    let y = |bytes: u64| MARGIN + HEIGHT - bytes as f64 / most * HEIGHT;
    let line = |value: fn(&Sample) -> u64, colour: &str| {
        let points = samples
            .iter()
            .map(|sample| format!("{:.1},{:.1}", x(sample.second), y(value(sample))));
        let points: Vec<String> = points.collect();
        format!(
            r#"<polyline fill="none" stroke="{colour}" stroke-width="2" points="{}"/>"#,
            points.join(" ")
        )
    };
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" font-family="sans-serif" font-size="12">"#,
        WIDTH + 2.0 * MARGIN,
        HEIGHT + 2.0 * MARGIN
    );
    let text = |svg: &mut String, x: f64, y: f64, text: &str| {
        let _ = write!(svg, r#"<text x="{x:.1}" y="{y:.1}">{text}</text>"#);
    };
    for (what, second) in begun {
        let at = x(*second);
        text(&mut svg, at + 4.0, MARGIN - 8.0, what);
        let _ = write!(
            svg,
            r##"<line x1="{at:.1}" x2="{at:.1}" y1="{MARGIN}" y2="{}" stroke="#999"/>"##,
            MARGIN + HEIGHT
        );
    }
    let _ = write!(
        svg,
        r##"<line x1="{MARGIN}" x2="{}" y1="{at:.1}" y2="{at:.1}" stroke="#999" stroke-dasharray="4"/>"##,
        MARGIN + WIDTH,
        at = y(fresh)
    );
    svg += &line(|sample| sample.memory, "#c33");
    svg += &line(|sample| sample.disk, "#36c");
    text(&mut svg, 4.0, MARGIN, &format!("{:.0} MB", most / 1e6));
    text(&mut svg, MARGIN, MARGIN + HEIGHT + 20.0, "0 s");
    text(
        &mut svg,
        MARGIN + WIDTH - 30.0,
        MARGIN + HEIGHT + 20.0,
        &format!("{last:.0} s"),
    );
    text(
        &mut svg,
        MARGIN + 60.0,
        MARGIN + HEIGHT + 20.0,
        "red: memory; blue: disk; dashed: memory of the fresh server",
    );
    svg + "</svg>\n"
}
