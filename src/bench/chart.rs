//! Latency against load, as SVG.

use super::report::Point;
use plotters::{
    chart::ChartBuilder,
    element::{Circle, PathElement},
    prelude::{IntoDrawingArea as _, IntoLogRange as _, SVGBackend},
    series::{LineSeries, PointSeries},
    style::{BLACK, Color as _, RGBColor, ShapeStyle, WHITE},
};
use std::error::Error;

const SIZE: (u32, u32) = (960, 600);
/// Told apart by those who see no red or green (Okabe and Ito).
const COLOURS: [RGBColor; 4] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
];

/// Draws p50 (thin) and p99 (thick) of each row over the calls a second that were due.
pub fn draw(points: &[Point]) -> Result<String, Box<dyn Error>> {
    let mut names: Vec<&str> = Vec::new();
    for point in points {
        if !names.contains(&point.name) {
            names.push(point.name);
        }
    }
    let most = points.iter().map(|point| point.rate).fold(1.0, f64::max);
    let milliseconds = |point: &Point, part| (point.tally.quantile_us(part) / 1e3).max(0.001);
    let highest = points.iter().map(|point| milliseconds(point, 0.99));
    let highest = highest.fold(1.0, f64::max);
    let lowest = points.iter().map(|point| milliseconds(point, 0.5));
    let lowest = lowest.fold(1.0, f64::min);

    let mut drawn = String::new();
    {
        let area = SVGBackend::with_string(&mut drawn, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption("Latency against load, open loop", ("sans-serif", 22))
            .margin(16)
            .x_label_area_size(48)
            .y_label_area_size(72)
            .build_cartesian_2d(0.0..most * 1.05, (lowest * 0.8..highest * 1.25).log_scale())?;
        chart
            .configure_mesh()
            .x_desc("calls due a second")
            .y_desc("milliseconds from when a call was due")
            .x_label_formatter(&|rate| format!("{rate:.0}"))
            .y_label_formatter(&|latency| format!("{latency}"))
            .draw()?;
        for (name, colour) in names.iter().zip(COLOURS.iter().cycle()) {
            for (part, width, label) in [(0.5, 1, "p50"), (0.99, 3, "p99")] {
                let style = ShapeStyle::from(colour).stroke_width(width);
                let line: Vec<(f64, f64)> = points
                    .iter()
                    .filter(|point| point.name == *name)
                    .map(|point| (point.rate, milliseconds(point, part)))
                    .collect();
                chart
                    .draw_series(LineSeries::new(line.clone(), style))?
                    .label(format!("{name} {label}"))
                    .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], style));
                chart.draw_series(PointSeries::<_, _, Circle<_, _>, _>::new(
                    line,
                    3,
                    colour.filled(),
                ))?;
            }
        }
        chart
            .configure_series_labels()
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.4))
            .draw()?;
        area.present()?;
    }
    Ok(drawn)
}
