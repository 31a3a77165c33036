//! Draws the curve of `docs/QUOTA.md`: the mean delay over the number of meetings, on logarithmic scales.

use std::fmt::Write as _;

/// One measured number of meetings: how many, the mean delay, a naive poller's, and the bound.
pub(crate) struct Point {
    pub(crate) meetings: f64,
    pub(crate) mean: f64,
    pub(crate) naive: f64,
    pub(crate) bound: f64,
}

/// The colour, the dashes and the name of a curve, and its value at a point.
type Curve = (&'static str, &'static str, &'static str, fn(&Point) -> f64);

const SIZE: (f64, f64) = (640.0, 360.0);
/// The left and right, and the upper and lower end of the curves.
const X: (f64, f64) = (56.0, 620.0);
const Y: (f64, f64) = (20.0, 310.0);
const MEETINGS: (f64, f64) = (1.0, 1000.0);
const SECONDS: (f64, f64) = (4.0, 1000.0);

fn x(meetings: f64) -> f64 {
    X.0 + (X.1 - X.0) * (meetings / MEETINGS.0).ln() / (MEETINGS.1 / MEETINGS.0).ln()
}

fn y(seconds: f64) -> f64 {
    Y.1 - (Y.1 - Y.0) * (seconds / SECONDS.0).ln() / (SECONDS.1 / SECONDS.0).ln()
}

/// Returns the picture as SVG.
pub(crate) fn svg(points: &[Point]) -> String {
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"12\" \
         role=\"img\" aria-label=\"Mean delay of joins and leaves over the number of live meetings\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
        SIZE.0, SIZE.1
    );
    for seconds in [5.0, 10.0, 30.0, 100.0, 300.0, 1000.0] {
        let at = y(seconds);
        let _ = writeln!(
            out,
            "<path d=\"M{} {at:.1}H{}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{seconds} s</text>",
            X.0,
            X.1,
            X.0 - 6.0,
            at + 4.0
        );
    }
    for meetings in [1.0, 10.0, 30.0, 100.0, 300.0, 1000.0] {
        let at = x(meetings);
        let _ = writeln!(
            out,
            "<path d=\"M{at:.1} {}V{}\" stroke=\"#ddd\"/><text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{meetings}</text>",
            Y.0,
            Y.1,
            Y.1 + 18.0
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{:.0}\" y=\"{}\" text-anchor=\"middle\">live meetings of one user (480 reads a minute, ten people each)</text>",
        (X.0 + X.1) / 2.0,
        SIZE.1 - 10.0
    );
    let curves: [Curve; 3] = [
        ("#c0392b", "6 4", "naive poller", |point| point.naive),
        ("#7f8c8d", "2 3", "the least that the quota allows", |point| point.bound),
        ("#1f5fa8", "none", "meetwatch", |point| point.mean),
    ];
    for (number, (colour, dashes, name, value)) in (0_u8..).zip(curves) {
        let line: Vec<String> =
            points.iter().map(|point| format!("{:.1},{:.1}", x(point.meetings), y(value(point)))).collect();
        let at = Y.0 + 18.0 * f64::from(number) + 8.0;
        let _ = writeln!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dashes}\"/>\n\
             <path d=\"M70 {at}h28\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dashes}\"/>\
             <text x=\"104\" y=\"{}\">{name}</text>",
            line.join(" "),
            at + 4.0
        );
    }
    out.push_str("</svg>\n");
    out
}
