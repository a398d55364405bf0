//! Charts as SVG.
//!
//! A chart holds lines only: its texts are lists beside it, so that they keep their size however wide the page is. Colours are
//! those of the style sheet, which knows light, dark and print.

use std::fmt::Write as _;

use anyhow::{Result, anyhow};
use plotters::backend::SVGBackend;
use plotters::chart::ChartBuilder;
use plotters::drawing::IntoDrawingArea;
use plotters::series::LineSeries;
use plotters::style::RGBColor;

use super::scale::Scale;
use crate::number::fraction;

/// The width and height of the coordinates. The picture is stretched to its place.
const SIZE: (u32, u32) = (2000, 600);
/// The last of the coordinates, at which an axis ends.
pub const LAST: (u32, u32) = (SIZE.0 - 1, SIZE.1 - 1);
/// The most columns that show their values under the pointer.
const MOST_COLUMNS: usize = 60;
/// The parts of the vertical axis.
const PARTS: u32 = 4;

/// The points of a line, by their place on both axes.
pub type Series = Vec<(f64, f64)>;

/// A column that shows its values under the pointer.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its middle, from 0 to 1.
    pub at: f64,
    /// The text.
    pub text: String,
}

/// A chart for the page.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Its id on the page.
    pub id: String,
    /// Its heading.
    pub title: &'static str,
    /// What one sees in it, in one sentence.
    pub says: String,
    /// The names of the lines with their classes; none for a single line.
    pub key: Vec<(String, String)>,
    /// Whether it is higher than others.
    pub is_tall: bool,
    /// What is between the tags of the picture.
    pub picture: String,
    /// The size of the picture's coordinates.
    pub view_box: String,
    /// The labels of the vertical axis.
    pub y: Vec<String>,
    /// The labels of the horizontal axis.
    pub x: Vec<String>,
    /// What they count; empty where they say it themselves.
    pub x_unit: &'static str,
    /// The heads of the table with the same figures.
    pub heads: Vec<String>,
    /// Its rows.
    pub rows: Vec<Vec<String>>,
}

/// The class of a line.
pub fn class(number: usize) -> String {
    format!("l l{}", number % 4 + 1)
}

/// The names of lines with their classes.
pub fn key<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Vec<(String, String)> {
    let names = names.into_iter().enumerate();
    names.map(|(number, name)| (name.into(), class(number))).collect()
}

/// Draws lines on axes that begin at 0. The first line is the one that matters, and is drawn last.
pub fn picture(series: &[Series], x_most: f64, y: &Scale, columns: &[Column]) -> Result<(String, String)> {
    let mut svg = String::new();
    draw(&mut svg, series, x_most, y.most).map_err(|error| anyhow!("a chart cannot be drawn: {error}"))?;
    // The lines alone: the element around them stands in the page.
    let start = svg.find('>').map_or(0, |at| at + 1);
    let end = svg.rfind("</svg>").unwrap_or(svg.len());
    let mut lines = svg[start..end].trim().to_owned();
    for number in 0..series.len() {
        let stroke = format!("stroke=\"{}\"", code(number));
        lines = lines.replace(&stroke, &format!("class=\"{}\"", class(number)));
    }
    let (width, height) = LAST;
    let mut picture = String::new();
    for part in 0..PARTS {
        let at = height * part / PARTS;
        // Writing to a text does not fail.
        let _ = write!(picture, "<path class=\"ax\" d=\"M0 {at}H{width}\"/>");
    }
    let _ = write!(picture, "<path class=\"base\" d=\"M0 {height}H{width}\"/>{lines}");
    push_columns(&mut picture, columns);
    Ok((picture, format!("0 0 {width} {height}")))
}

type Failure = plotters::drawing::DrawingAreaErrorKind<std::io::Error>;

fn draw(svg: &mut String, series: &[Series], x_most: f64, y_most: f64) -> Result<(), Failure> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let mut chart = ChartBuilder::on(&area).build_cartesian_2d(0.0..x_most, 0.0..y_most)?;
    for (number, series) in series.iter().enumerate().rev() {
        let points = series.iter().copied();
        chart.draw_series(LineSeries::new(points, &colour(number)))?;
    }
    area.present()
}

/// A colour that stands for the class of a line.
fn colour(number: usize) -> RGBColor {
    RGBColor(1, 1, u8::try_from(number).unwrap_or(u8::MAX))
}

/// The same as it is written.
fn code(number: usize) -> String {
    format!("#0101{number:02X}")
}

fn push_columns(picture: &mut String, columns: &[Column]) {
    let every = columns.len().div_ceil(MOST_COLUMNS).max(1);
    let width = fraction(u64::from(LAST.0));
    let count = fraction(u64::try_from(columns.len().div_ceil(every)).unwrap_or(1)).max(1.0);
    for column in columns.iter().step_by(every) {
        let wide = width / count;
        let left = (column.at * width - wide / 2.0).clamp(0.0, width);
        let _ = write!(
            picture,
            "<rect class=\"hit\" x=\"{left:.0}\" y=\"0\" width=\"{wide:.0}\" height=\"{}\"><title>{}</title></rect>",
            LAST.1,
            escaped(&column.text)
        );
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_classes_and_no_colours() {
        let line = |y: f64| vec![(0.0, 0.0), (5.0, y), (10.0, y)];
        let scale = Scale::up_to(100.0, "");
        let columns = [Column {
            at: 0.5,
            text: "a < b".to_owned(),
        }];
        let series = [line(100.0), line(50.0)];
        let (picture, view_box) = self::picture(&series, 10.0, &scale, &columns).unwrap();
        assert_eq!(view_box, "0 0 1999 599");
        for part in [
            "class=\"l l1\"",
            "class=\"l l2\"",
            "999,0 1999,0",
            "a &lt; b",
            "class=\"base\"",
        ] {
            assert!(picture.contains(part), "{part}: {picture}");
        }
        assert!(
            !picture.contains('#') && !picture.contains("svg") && !picture.contains("style"),
            "{picture}"
        );
    }
}
