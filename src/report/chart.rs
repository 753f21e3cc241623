//! Line charts as inline SVG, drawn by plotters.
//!
//! Points that are not finite, or not above 0 on a logarithmic axis, are left out and the chart says how many. What is left may
//! be nothing, one point or a constant: each gives a sound chart. Colours are those of the light theme; the style sheet
//! replaces them by attribute in the dark one. Legends are HTML, so their text wraps and can be copied.

use super::{escape, ticks};
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::prelude::*;
use std::fmt::{self, Write};
use std::ops::Range;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    pub title: String,
    pub x_label: String,
    pub y_label: String,
    pub series: Vec<Series>,
    /// Whether the y axis is logarithmic.
    pub log_y: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// plotters rounds to whole units, so it draws on a canvas four times as fine as the page.
pub(super) const FINE: u32 = 4;
pub(super) const WIDTH: u32 = 480 * FINE;
pub(super) const HEIGHT: u32 = 250 * FINE;
/// Larger magnitudes would overflow the arithmetic of axes.
pub(super) const LARGEST: f64 = 1e100;
/// No curve needs more points than the page has columns; more are thinned.
const COLUMNS: usize = 480;

/// The lines of a chart, in the order of series. `style.css` names the same colours.
pub(super) const PALETTE: [RGBColor; 8] = [
    RGBColor(0x2f, 0x6d, 0xb5),
    RGBColor(0xd0, 0x6a, 0x1c),
    RGBColor(0x2e, 0x8b, 0x6a),
    RGBColor(0xa1, 0x4a, 0x8f),
    RGBColor(0xb8, 0x3b, 0x42),
    RGBColor(0x8a, 0x73, 0x1c),
    RGBColor(0x3b, 0x8e, 0xa5),
    RGBColor(0x6b, 0x6f, 0x78),
];
pub(super) const GRID: RGBColor = RGBColor(0xe4, 0xe4, 0xe0);
pub(super) const AXIS: RGBColor = RGBColor(0xb9, 0xb9, 0xb3);
pub(super) const TEXT: RGBColor = RGBColor(0x6a, 0x6a, 0x66);

/// Writes the chart as a `figure`.
pub fn write(chart: &Chart, page: &mut String) -> fmt::Result {
    let drawable =
        |&&(x, y): &&(f64, f64)| x.abs() <= LARGEST && y.abs() <= LARGEST && (!chart.log_y || y >= 1.0 / LARGEST);
    let curves: Vec<Vec<(f64, f64)>> =
        chart.series.iter().map(|s| s.points.iter().filter(drawable).copied().collect()).collect();
    let dropped =
        chart.series.iter().map(|s| s.points.len()).sum::<usize>() - curves.iter().map(Vec::len).sum::<usize>();

    writeln!(page, "<figure>\n<figcaption>{}</figcaption>", escape(&chart.title))?;
    write_legend(chart, &curves, page)?;
    match curves.iter().all(Vec::is_empty) {
        true => writeln!(page, "<p class=\"empty\">no data</p>")?,
        false => {
            writeln!(page, "<p class=\"y-label\">{}</p>", escape(&chart.y_label))?;
            page.push_str(&svg(chart, &curves));
            writeln!(page, "<p class=\"x-label\">{}</p>", escape(&chart.x_label))?;
        }
    }
    if dropped > 0 {
        let why = if chart.log_y { "not finite, or not above 0" } else { "not finite" };
        let points = if dropped == 1 { "1 point is".into() } else { format!("{dropped} points are") };
        writeln!(page, "<p class=\"note\">{points} not drawn: {why}</p>")?;
    }
    writeln!(page, "</figure>")
}

/// The name and last value of each series.
fn write_legend(chart: &Chart, curves: &[Vec<(f64, f64)>], page: &mut String) -> fmt::Result {
    writeln!(page, "<ul class=\"legend\">")?;
    for (i, (series, curve)) in chart.series.iter().zip(curves).enumerate() {
        let last = curve.last().map_or("–".into(), |&(_, y)| ticks::number(y, 4));
        let (colour, name) = (i % PALETTE.len(), escape(&series.name));
        writeln!(page, "<li><i class=\"c{colour}\"></i>{name} <b>{last}</b></li>")?;
    }
    writeln!(page, "</ul>")
}

fn svg(chart: &Chart, curves: &[Vec<(f64, f64)>]) -> String {
    let points = || curves.iter().flatten();
    let mut x = Axis::new(points().map(|p| p.0), 0.0, false);
    let y = Axis::new(points().map(|p| p.1), 0.06, chart.log_y);
    if points().all(|p| p.0.fract() == 0.0) {
        // There is nothing between two epochs or steps.
        x.ticks.retain(|tick| tick.fract() == 0.0);
    }
    let lines: Vec<_> = curves.iter().map(|curve| thin(curve)).collect();
    let mut svg = String::new();
    draw(&mut svg, x, y, &lines).expect("drawing into a string does not fail");
    let name = escape(&format!("{} by {}", chart.y_label, chart.x_label));
    let fixed = format!("<svg width=\"{WIDTH}\" height=\"{HEIGHT}\"");
    svg.replacen(&fixed, &format!("<svg role=\"img\" aria-label=\"{name}\""), 1)
}

type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

fn draw<'a>(svg: &'a mut String, x: Axis, y: Axis, lines: &[Vec<(f64, f64)>]) -> Drawn<'a> {
    let area = SVGBackend::with_string(svg, (WIDTH, HEIGHT)).into_drawing_area();
    let font = ("sans-serif", 14 * FINE).into_font().color(&TEXT);
    let mut canvas = ChartBuilder::on(&area)
        .margin_top(6 * FINE)
        .margin_right(14 * FINE)
        .x_label_area_size(24 * FINE)
        .y_label_area_size(46 * FINE)
        .build_cartesian_2d(x, y)?;
    canvas
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(GRID.stroke_width(FINE))
        .light_line_style(TRANSPARENT)
        .axis_style(AXIS.stroke_width(FINE))
        .set_all_tick_mark_size(5 * FINE)
        .label_style(font)
        .draw()?;
    for (i, line) in lines.iter().enumerate() {
        let colour = PALETTE[i % PALETTE.len()];
        match line[..] {
            [point] => drop(canvas.draw_series([Circle::new(point, 4 * FINE, colour.filled())])?),
            _ => drop(canvas.draw_series(LineSeries::new(line.iter().copied(), colour.stroke_width(2 * FINE)))?),
        }
    }
    area.present()
}

/// The scale of one direction. On a logarithmic axis `range` holds logarithms; ticks are values in both.
pub(super) struct Axis {
    log: bool,
    range: Range<f64>,
    ticks: Vec<f64>,
}

impl Axis {
    /// The range of the values with a margin on both sides, or one around a constant.
    pub(super) fn new(values: impl Iterator<Item = f64>, margin: f64, log: bool) -> Self {
        let scaled = values.map(|v| if log { v.log10() } else { v });
        let (low, high) = scaled.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        let (size, span) = (low.abs().max(high.abs()), high - low);
        let around = match span <= size * 1e-9 || span < 1.0 / LARGEST {
            false => margin * span,
            true if log => 0.5,
            true if size < 1.0 / LARGEST => 1.0,
            true => size * 0.1,
        };
        let range = low - around..high + around;
        let ticks = match log {
            true => ticks::logarithmic(10f64.powf(range.start), 10f64.powf(range.end), 6),
            false => ticks::linear(range.start, range.end, 6),
        };
        Self { log, range, ticks }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (low, high): (i32, i32)) -> i32 {
        let scaled = if self.log { value.log10() } else { *value };
        let share = (scaled - self.range.start) / (self.range.end - self.range.start);
        low + (share * f64::from(high - low)).round() as i32
    }

    fn key_points<H: KeyPointHint>(&self, hint: H) -> Vec<f64> {
        if hint.weight().allow_light_points() { vec![] } else { self.ticks.clone() }
    }

    fn range(&self) -> Range<f64> {
        let value = |scaled: f64| if self.log { 10f64.powf(scaled) } else { scaled };
        value(self.range.start)..value(self.range.end)
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        ticks::label(*value)
    }
}

/// At most two points per column of the page, the lowest and the highest, so that no spike is lost.
fn thin(curve: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if curve.len() <= 2 * COLUMNS {
        return curve.to_vec();
    }
    let extremes = curve.chunks(curve.len().div_ceil(COLUMNS)).flat_map(|chunk| {
        let by_height = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let low = *chunk.iter().min_by(by_height).expect("chunks are not empty");
        let high = *chunk.iter().max_by(by_height).expect("chunks are not empty");
        if low.0 <= high.0 { [low, high] } else { [high, low] }
    });
    extremes.collect()
}
