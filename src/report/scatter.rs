//! Points between two figures as inline SVG, those on the Pareto front in colour, drawn by plotters like the charts of lines.
//!
//! A point that is not finite is left out, and the plot says how many. Each point has a short name, which stands beside it and in a
//! table of the same page.

use super::chart::{AXIS, Axis, FINE, GRID, HEIGHT, LARGEST, PALETTE, TEXT, WIDTH};
use super::escape;
use plotters::prelude::*;
use std::fmt::{self, Write};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scatter {
    pub title: String,
    pub x_label: String,
    pub y_label: String,
    pub points: Vec<Point>,
    /// Whether a line joins the points of the front: where the front is about these two figures alone.
    pub joined: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Point {
    pub name: String,
    pub x: f64,
    pub y: f64,
    /// Whether no other point is better.
    pub is_front: bool,
}

/// The colours of the front, and of what is beaten.
const FRONT: usize = 0;
const BEATEN: usize = 7;

/// Writes the plot as a `figure`.
pub fn write(scatter: &Scatter, page: &mut String) -> fmt::Result {
    let is_drawn = |p: &&Point| p.x.abs() <= LARGEST && p.y.abs() <= LARGEST;
    let drawn: Vec<&Point> = scatter.points.iter().filter(is_drawn).collect();
    writeln!(page, "<figure>\n<figcaption>{}</figcaption>\n<ul class=\"legend\">", escape(&scatter.title))?;
    for (colour, name, is_front) in [(FRONT, "on the Pareto front", true), (BEATEN, "beaten by another", false)] {
        let of = drawn.iter().filter(|p| p.is_front == is_front).count();
        writeln!(page, "<li><i class=\"c{colour}\"></i>{name} <b>{of}</b></li>")?;
    }
    writeln!(page, "</ul>")?;
    match drawn.is_empty() {
        true => writeln!(page, "<p class=\"empty\">no data</p>")?,
        false => {
            writeln!(page, "<p class=\"y-label\">{}</p>", escape(&scatter.y_label))?;
            page.push_str(&svg(scatter, &drawn));
            writeln!(page, "<p class=\"x-label\">{}</p>", escape(&scatter.x_label))?;
        }
    }
    let dropped = scatter.points.len() - drawn.len();
    if dropped > 0 {
        let points = if dropped == 1 { "1 point is".into() } else { format!("{dropped} points are") };
        writeln!(page, "<p class=\"note\">{points} not drawn: not finite</p>")?;
    }
    writeln!(page, "</figure>")
}

fn svg(scatter: &Scatter, points: &[&Point]) -> String {
    let mut svg = String::new();
    draw(&mut svg, scatter, points).expect("drawing into a string does not fail");
    let name = escape(&format!("{} by {}", scatter.y_label, scatter.x_label));
    let fixed = format!("<svg width=\"{WIDTH}\" height=\"{HEIGHT}\"");
    svg.replacen(&fixed, &format!("<svg role=\"img\" aria-label=\"{name}\""), 1)
}

type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

fn draw<'a>(svg: &'a mut String, scatter: &Scatter, points: &[&Point]) -> Drawn<'a> {
    let area = SVGBackend::with_string(svg, (WIDTH, HEIGHT)).into_drawing_area();
    let font = ("sans-serif", 14 * FINE).into_font().color(&TEXT);
    let axis = |of: fn(&Point) -> f64| Axis::new(points.iter().map(|p| of(p)), 0.1, false);
    let mut canvas = ChartBuilder::on(&area)
        .margin_top(6 * FINE)
        .margin_right(14 * FINE)
        .x_label_area_size(24 * FINE)
        .y_label_area_size(46 * FINE)
        .build_cartesian_2d(axis(|p| p.x), axis(|p| p.y))?;
    canvas
        .configure_mesh()
        .bold_line_style(GRID.stroke_width(FINE))
        .light_line_style(TRANSPARENT)
        .axis_style(AXIS.stroke_width(FINE))
        .set_all_tick_mark_size(5 * FINE)
        .label_style(font.clone())
        .draw()?;
    if scatter.joined {
        let mut front: Vec<(f64, f64)> = points.iter().filter(|p| p.is_front).map(|p| (p.x, p.y)).collect();
        front.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        canvas.draw_series(LineSeries::new(front, PALETTE[FRONT].stroke_width(2 * FINE)))?;
    }
    for point in points {
        let colour = PALETTE[if point.is_front { FRONT } else { BEATEN }];
        let mark = EmptyElement::at((point.x, point.y))
            + Circle::new((0, 0), 4 * FINE, colour.filled())
            + Text::new(point.name.clone(), (6 * FINE as i32, -14 * FINE as i32), font.clone());
        canvas.draw_series(std::iter::once(mark))?;
    }
    area.present()
}
