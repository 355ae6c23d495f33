//! Drawings: a whisker for each guardrail, and lines over time with their band. Inline SVG, with the same in words.
//!
//! Nothing is positioned by style attributes, which the page's policy forbids: marks that stretch with the width are
//! placed in per cent, and paths are drawn in a box of their own that is stretched without its strokes.

use super::markup::Markup;

/// Width of the box that paths are drawn in; stretched to what there is.
const BOX: f64 = 1_000.0;

/// One mark of an axis.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Tick {
    /// Place between 0 and 1.
    pub at: f64,
    /// What it says.
    pub words: String,
}

/// A horizontal line across a chart, with its name.
#[derive(Clone, Debug)]
pub(super) struct Level {
    /// Place between 0 (bottom) and 1.
    pub at: f64,
    /// Its name, above the line at the right; none where the axis names it.
    pub words: String,
    /// Class of its looks.
    pub class: &'static str,
}

/// A moment, with its name.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    /// Place between 0 and 1.
    pub at: f64,
    /// Its name; none where another chart beside it says it.
    pub words: String,
}

/// A point of a line, in places between 0 and 1.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Drawn {
    /// Place in time.
    pub x: f64,
    /// Value.
    pub y: f64,
    /// Band around it, where there is one.
    pub band: Option<(f64, f64)>,
}

/// A line over time.
#[derive(Debug)]
pub(super) struct Chart<'a> {
    /// Height of the drawing in pixels.
    pub height: u32,
    /// The line; `None` where there is a gap.
    pub points: &'a [Option<Drawn>],
    /// Marks of values.
    pub values: &'a [Tick],
    /// Marks of time.
    pub times: &'a [Tick],
    /// Horizontal lines.
    pub levels: &'a [Level],
    /// From here up values are shaded: what no pass allows.
    pub beyond: Option<f64>,
    /// Moments.
    pub moments: &'a [Moment],
    /// The same in words.
    pub words: &'a str,
}

impl Chart<'_> {
    /// Draws it.
    pub(super) fn draw(&self, m: &mut Markup) {
        m.element("div", &[("class", "chart"), ("role", "img"), ("aria-label", self.words)], |m| {
            let height = (self.height + 22).to_string();
            m.element("svg", &[("class", "y"), ("width", "58"), ("height", &height), ("aria-hidden", "true")], |m| {
                for tick in self.values {
                    let y = number(self.y(tick.at).clamp(5.0, f64::from(self.height) - 1.0));
                    m.element("text", &[("x", "52"), ("y", &y), ("dy", "4"), ("text-anchor", "end")], |m| {
                        m.text(&tick.words);
                    });
                }
            });
            m.element("svg", &[("class", "x"), ("width", "100%"), ("height", &height), ("aria-hidden", "true")], |m| {
                self.inside(m)
            });
        });
    }

    fn y(&self, place: f64) -> f64 {
        f64::from(self.height) * (1.0 - place)
    }

    fn inside(&self, m: &mut Markup) {
        let bottom = self.height.to_string();
        if let Some(from) = self.beyond {
            let (top, height) = ("0", number(self.y(from)));
            m.empty("rect", &[("class", "beyond"), ("x", "0"), ("y", top), ("width", "100%"), ("height", &height)]);
        }
        for tick in self.values {
            horizontal(m, "grid", self.y(tick.at));
        }
        for tick in self.times {
            let x = per_cent(tick.at);
            let anchor = anchor(tick.at);
            m.empty(
                "line",
                &[("class", "tick"), ("x1", &x), ("x2", &x), ("y1", &bottom), ("y2", &(self.height + 4).to_string())],
            );
            m.element("text", &[("x", &x), ("y", &(self.height + 17).to_string()), ("text-anchor", anchor)], |m| {
                m.text(&tick.words);
            });
        }
        let view = format!("0 0 {BOX} {}", self.height);
        m.element(
            "svg",
            &[("width", "100%"), ("height", &bottom), ("viewBox", &view), ("preserveAspectRatio", "none")],
            |m| {
                for run in self.points.split(Option::is_none) {
                    let run: Vec<Drawn> = run.iter().flatten().copied().collect();
                    self.band(m, &run);
                }
                for run in self.points.split(Option::is_none) {
                    let run: Vec<Drawn> = run.iter().flatten().copied().collect();
                    self.line(m, &run);
                }
            },
        );
        for level in self.levels {
            horizontal(m, level.class, self.y(level.at));
            if !level.words.is_empty() {
                let y = self.y(level.at);
                let above = y > 16.0;
                let y = number(if above { y - 4.0 } else { y + 13.0 });
                m.element("text", &[("class", level.class), ("x", "100%"), ("y", &y), ("text-anchor", "end")], |m| {
                    m.text(&level.words);
                });
            }
        }
        for moment in self.moments {
            let x = per_cent(moment.at);
            m.empty("line", &[("class", "moment"), ("x1", &x), ("x2", &x), ("y1", "0"), ("y2", &bottom)]);
            if moment.words.is_empty() {
                continue;
            }
            let (anchor, shift) = if moment.at > 0.6 { ("end", "-5") } else { ("start", "5") };
            let y = number(f64::from(self.height) - 6.0);
            m.element(
                "text",
                &[("class", "moment"), ("x", &x), ("dx", shift), ("y", &y), ("text-anchor", anchor)],
                |m| m.text(&moment.words),
            );
        }
        if let Some(last) = self.points.iter().rev().flatten().next() {
            m.empty(
                "circle",
                &[("class", "now"), ("cx", &per_cent(last.x)), ("cy", &number(self.y(last.y))), ("r", "4")],
            );
        }
        horizontal(m, "axis", f64::from(self.height));
    }

    fn band(&self, m: &mut Markup, run: &[Drawn]) {
        let bands: Vec<(f64, f64, f64)> =
            run.iter().filter_map(|point| point.band.map(|(low, high)| (point.x, low, high))).collect();
        if bands.len() < 2 {
            return;
        }
        let upper = bands.iter().map(|(x, _, high)| self.dot(*x, *high));
        let lower = bands.iter().rev().map(|(x, low, _)| self.dot(*x, *low));
        m.path("band", upper.chain(lower), true);
    }

    fn line(&self, m: &mut Markup, run: &[Drawn]) {
        if run.len() > 1 {
            m.path("line", run.iter().map(|point| self.dot(point.x, point.y)), false);
        }
    }

    fn dot(&self, x: f64, y: f64) -> (f64, f64) {
        (x * BOX, self.y(y))
    }
}

fn horizontal(m: &mut Markup, class: &'static str, y: f64) {
    let y = number(y);
    m.empty("line", &[("class", class), ("x1", "0"), ("x2", "100%"), ("y1", &y), ("y2", &y)]);
}

/// Words at the right end of an axis stay inside; at the left there is room below the marks of values.
fn anchor(place: f64) -> &'static str {
    if place > 0.96 { "end" } else { "middle" }
}

fn per_cent(place: f64) -> String {
    format!("{}%", number(place * 100.0))
}

/// A number as SVG takes it, to a tenth.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

/// A difference with its interval, in units of what its margin allows.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Whisker {
    /// Estimate.
    pub estimate: f64,
    /// Lower end; may be infinite.
    pub low: f64,
    /// Upper end; may be infinite.
    pub high: f64,
}

/// Margins that fit on each side of a whisker.
const REACH: f64 = 8.0;
/// Height of a whisker in pixels.
const WHISKER_HEIGHT: u32 = 26;

/// Place of a difference, in margins: even near 0, and compressed further out, so that each row fits on one scale.
fn squeezed(margins: f64) -> f64 {
    let far = |value: f64| value.abs().ln_1p().copysign(value);
    if margins.is_nan() { 0.5 } else { 0.5 + 0.5 * (far(margins) / far(REACH)).clamp(-1.0, 1.0) }
}

/// The whisker of a row, and the border at 1 where a pass asks for it. `class` says how it looks; `words` says the same.
pub(super) fn whisker(m: &mut Markup, whisker: Option<Whisker>, has_margin: bool, class: &'static str, words: &str) {
    let height = WHISKER_HEIGHT.to_string();
    let class = format!("whisker {class}");
    m.element(
        "svg",
        &[("class", &class), ("role", "img"), ("aria-label", words), ("width", "100%"), ("height", &height)],
        |m| {
            if has_margin {
                let (from, width) = (per_cent(squeezed(1.0)), per_cent(1.0 - squeezed(1.0)));
                let place =
                    [("class", "beyond"), ("x", from.as_str()), ("width", &width), ("y", "0"), ("height", &height)];
                m.empty("rect", &place);
                m.empty("line", &[("class", "margin"), ("x1", &from), ("x2", &from), ("y1", "0"), ("y2", &height)]);
            }
            m.empty("line", &[("class", "none"), ("x1", "50%"), ("x2", "50%"), ("y1", "0"), ("y2", &height)]);
            let Some(whisker) = whisker else { return };
            let [low, middle, high] = [whisker.low, whisker.estimate, whisker.high].map(squeezed);
            m.empty(
                "line",
                &[("class", "span"), ("x1", &per_cent(low)), ("x2", &per_cent(high)), ("y1", "13"), ("y2", "13")],
            );
            for (at, value) in [(low, whisker.low), (high, whisker.high)] {
                end(m, at, value);
            }
            // An estimate beyond the scale is the arrow itself.
            if whisker.estimate.abs() <= REACH {
                m.empty("circle", &[("class", "middle"), ("cx", &per_cent(middle)), ("cy", "13"), ("r", "4.5")]);
            }
        },
    );
}

/// The end of a whisker: a bar, or an arrow where it lies further out than the scale.
fn end(m: &mut Markup, at: f64, value: f64) {
    let place = per_cent(at);
    if value.abs() <= REACH {
        m.empty("line", &[("class", "span"), ("x1", &place), ("x2", &place), ("y1", "8"), ("y2", "18")]);
        return;
    }
    let (tip, back) = if value > 0.0 { ("-1", "-7") } else { ("1", "7") };
    // An inner drawing without a size: its origin is the place in per cent.
    m.element("svg", &[("x", &place), ("y", "0"), ("class", "arrow")], |m| {
        let points = format!("{back},8 {tip},13 {back},18");
        m.empty("polyline", &[("class", "span"), ("points", &points)]);
    });
}

/// The scale above whiskers, in words.
pub(super) fn whisker_scale(m: &mut Markup) {
    m.element("svg", &[("class", "scale"), ("width", "100%"), ("height", "16"), ("aria-hidden", "true")], |m| {
        for (margins, words, anchor) in [(-3.0, "better", "middle"), (0.0, "same", "middle"), (3.0, "worse", "middle")]
        {
            m.element("text", &[("x", &per_cent(squeezed(margins))), ("y", "12"), ("text-anchor", anchor)], |m| {
                m.text(words)
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whiskers_fit_on_one_scale() {
        assert_eq!(squeezed(0.0), 0.5);
        assert_eq!((squeezed(f64::NEG_INFINITY), squeezed(f64::INFINITY)), (0.0, 1.0));
        assert!(squeezed(1.0) > 0.6 && squeezed(6.0) < 0.95 && squeezed(-1.0) < 0.4);
        assert_eq!(squeezed(f64::NAN), 0.5);
    }

    #[test]
    fn an_end_beyond_the_scale_is_an_arrow() {
        let draw = |high: f64| {
            let mut m = Markup::default();
            let of = Whisker { estimate: 1.0, low: -2.0, high };
            whisker(&mut m, Some(of), true, "open", "words");
            m.finish()
        };
        assert!(!draw(5.0).contains("polyline") && draw(f64::INFINITY).contains("polyline"));
    }

    #[test]
    fn gaps_break_a_line() {
        let at = |x: f64| Some(Drawn { x, y: 0.5, band: Some((0.25, 0.75)) });
        let points = [at(0.0), at(0.1), None, at(0.3), at(0.4), None, at(0.9)];
        let chart = Chart {
            height: 100,
            points: &points,
            values: &[],
            times: &[],
            levels: &[],
            beyond: None,
            moments: &[],
            words: "",
        };
        let mut m = Markup::default();
        chart.draw(&mut m);
        let drawn = m.finish();
        assert_eq!(drawn.matches("class=\"line\"").count(), 2, "{drawn}");
        assert_eq!(drawn.matches("class=\"band\"").count(), 2, "{drawn}");
        assert!(drawn.contains("d=\"M0 50L100 50\""), "{drawn}");
    }
}
