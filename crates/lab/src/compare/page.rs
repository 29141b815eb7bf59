//! The page: the document in tables and plots, in one file that needs nothing else.
//!
//! Whatever the page shows of the document is looked up by its JSON pointer and carries it
//! (`data-p`), and the document itself lies in the page: so a reader, a test and the page's
//! own script can compare them.

#![expect(
    clippy::cast_precision_loss,
    reason = "places in a drawing: no count of the document is beyond 52 bits"
)]

use std::sync::Arc;

use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::report::{Column, Comparison};
use crate::trouble::Trouble;

const TEMPLATE: &str = include_str!("page.html");
/// Colours that are told apart by people who see few, and in print.
const COLOURS: [RGBColor; 4] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
];

/// Makes the page.
pub fn page(comparison: &Comparison) -> Result<String, Trouble> {
    let failed = |error: &dyn std::fmt::Display| Trouble::host(format!("the page: {error}"));
    let document = serde_json::to_value(comparison).map_err(|error| failed(&error))?;
    let document = Arc::new(document);
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let looked_up = Arc::clone(&document);
    environment.add_function("v", move |pointer: String| shown(&looked_up, &pointer));
    environment
        .add_template("page.html", TEMPLATE)
        .map_err(|error| failed(&error))?;
    // In a script element only this could end it.
    let embedded = document.to_string().replace("</", "<\\/");
    let context = minijinja::context! {
        doc => Value::from(Serde(&*document)),
        embedded => Value::from_safe_string(embedded),
        arrived_down => plot(|area| arrived(area, comparison, false))?,
        arrived_up => plot(|area| arrived(area, comparison, true))?,
        lost => plot(|area| lost(area, comparison))?,
        cost => plot(|area| cost(area, comparison))?,
    };
    let template = environment.get_template("page.html");
    template
        .and_then(|template| template.render(context))
        .map_err(|error| failed(&error))
}

/// A value of the document, with its pointer.
fn shown(document: &serde_json::Value, pointer: &str) -> Result<Value, minijinja::Error> {
    let value = document.pointer(pointer).ok_or_else(|| {
        minijinja::Error::new(
            minijinja::ErrorKind::UndefinedError,
            format!("the document has no {pointer}"),
        )
    })?;
    let text = match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Bool(true) => "yes".into(),
        serde_json::Value::Bool(false) => "no".into(),
        other => other.to_string(),
    };
    let escaped: String = text
        .chars()
        .map(|c| match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            other => other.to_string(),
        })
        .collect();
    Ok(Value::from_safe_string(format!(
        "<span data-p=\"{pointer}\">{escaped}</span>"
    )))
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

fn plot(draw: impl FnOnce(&Area<'_>) -> Drawn) -> Result<Value, Trouble> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (900, 300)).into_drawing_area();
        draw(&area)
            .and_then(|()| Ok(area.present()?))
            .map_err(|error| Trouble::host(format!("a plot: {error}")))?;
    }
    Ok(Value::from_safe_string(text))
}

fn colour(at: usize) -> RGBColor {
    COLOURS[at % COLOURS.len()]
}

/// Frames that arrived in each slice of time, a line for each driver.
fn arrived(area: &Area<'_>, comparison: &Comparison, up: bool) -> Drawn {
    let series = |column: &Column| {
        let series = &column.life.series;
        let counts = if up { &series.up } else { &series.down };
        let slice = series.slice_us as f64 / 1e3;
        let each = counts.iter().enumerate();
        each.map(|(at, count)| (at as f64 * slice, *count as f64))
            .collect::<Vec<_>>()
    };
    let all: Vec<Vec<(f64, f64)>> = comparison.drivers.iter().map(series).collect();
    let end = comparison
        .script
        .last()
        .map_or(1.0, |act| act.until_us as f64 / 1e3);
    let most = all.iter().flatten().map(|(_, count)| *count);
    let most = most.fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .x_label_area_size(36)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..end, 0.0..most * 1.15)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .x_desc("milliseconds of virtual time")
        .y_desc("frames")
        .draw()?;
    for act in &comparison.script {
        let at = act.at_us as f64 / 1e3;
        let line = [(at, 0.0), (at, most * 1.15)];
        chart.draw_series(LineSeries::new(line, BLACK.mix(0.4)))?;
        let text = Text::new(
            act.name.clone(),
            (at + end / 200.0, most * 1.13),
            ("sans-serif", 13),
        );
        chart.draw_series([text])?;
    }
    for (at, (column, line)) in comparison.drivers.iter().zip(all).enumerate() {
        let style = colour(at).stroke_width(2);
        chart
            .draw_series(LineSeries::new(line, style))?
            .label(column.label.clone())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    legend(&mut chart, SeriesLabelPosition::LowerLeft)?;
    Ok(())
}

/// Where nothing is drawn: the corner is the plot's to choose.
fn legend<'a, X, Y>(
    chart: &mut ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Y>>,
    corner: SeriesLabelPosition,
) -> Result<(), DrawingAreaErrorKind<std::io::Error>>
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    chart
        .configure_series_labels()
        .position(corner)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()
}

/// Groups of bars: a group for each name, in it one for each driver.
fn bars(
    area: &Area<'_>,
    comparison: &Comparison,
    names: &[String],
    (unit, corner): (&str, SeriesLabelPosition),
    value: impl Fn(&Column, usize) -> f64,
) -> Drawn {
    let drivers = &comparison.drivers;
    let each = |column| {
        (0..names.len())
            .map(|at| value(column, at))
            .collect::<Vec<_>>()
    };
    let all: Vec<Vec<f64>> = drivers.iter().map(each).collect();
    let most = all.iter().flatten().copied().fold(1.0, f64::max);
    let end = names.len() as f64;
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .x_label_area_size(28)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..end, 0.0..most * 1.1)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .light_line_style(WHITE)
        .y_desc(unit)
        .draw()?;
    let width = 0.8 / drivers.len().max(1) as f64;
    for (at, (column, values)) in drivers.iter().zip(&all).enumerate() {
        let style = colour(at).filled();
        let bar = |(group, value): (usize, &f64)| {
            let left = group as f64 + 0.1 + at as f64 * width;
            Rectangle::new([(left, 0.0), (left + width * 0.9, *value)], style)
        };
        chart
            .draw_series(values.iter().enumerate().map(bar))?
            .label(column.label.clone())
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 14, y + 5)], style));
    }
    for (group, name) in names.iter().enumerate() {
        let (left, bottom) = chart.backend_coord(&(group as f64 + 0.1, 0.0));
        let style = ("sans-serif", 13);
        area.draw(&Text::new(name.clone(), (left, bottom + 8), style))?;
    }
    legend(&mut chart, corner)?;
    Ok(())
}

/// Frames lost in each act.
fn lost(area: &Area<'_>, comparison: &Comparison) -> Drawn {
    let names: Vec<String> = comparison
        .script
        .iter()
        .map(|act| act.name.clone())
        .collect();
    let unit = ("frames lost", SeriesLabelPosition::UpperLeft);
    bars(area, comparison, &names, unit, |column, at| {
        column.life.acts.get(at).map_or(0.0, |act| act.lost as f64)
    })
}

/// What a frame costs, in ratio to no driver.
fn cost(area: &Area<'_>, comparison: &Comparison) -> Drawn {
    let kinds = comparison.drivers.first().map_or(&[][..], |d| &d.cost);
    let names: Vec<String> = kinds
        .iter()
        .map(|cost| format!("{}, chains of {}", cost.way, cost.batch))
        .collect();
    let unit = (
        "times the path without a driver",
        SeriesLabelPosition::UpperRight,
    );
    bars(area, comparison, &names, unit, |column, at| {
        column.cost.get(at).map_or(0.0, |cost| cost.ratio)
    })
}
