//! The picture: which share of the limits is known to one per cent after how long.

use std::fmt::Write;

/// One line of the picture.
pub(crate) struct Curve {
    /// What it shows.
    pub(crate) name: String,
    /// The time every search took, in units of the limit.
    pub(crate) times: Vec<f64>,
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 52.0;
/// The end of the time axis, in units of the limit.
const LONGEST: f64 = 12.0;
/// Colours that people with any colour vision can tell apart (Okabe and Ito), then a grey.
const COLOURS: [&str; 4] = ["#e69f00", "#0072b2", "#009e73", "#777777"];

/// Draws the curves as an SVG document.
pub(crate) fn draw(curves: &[Curve]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"15\">How long until a silent idle limit is known to ±1 %?</text>\n\
         <text x=\"{LEFT}\" y=\"40\" fill=\"#555555\">Share of 2,000 limits between 26 s and 28,000 s; \
         nothing can be left of 1, the limit itself</text>\n"
    );
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let y = across(share);
        let percent = share * 100.0;
        line(&mut svg, (LEFT, y), (WIDTH - RIGHT, y), "#dddddd");
        text(&mut svg, LEFT - 8.0, y + 4.0, "end", &format!("{percent:.0} %"));
    }
    for lengths in 0..=12_u8 {
        let x = along(f64::from(lengths));
        line(&mut svg, (x, TOP), (x, HEIGHT - BOTTOM), if lengths == 1 { "#000000" } else { "#eeeeee" });
        text(&mut svg, x, HEIGHT - BOTTOM + 18.0, "middle", &format!("{lengths}×"));
    }
    text(&mut svg, (LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 12.0, "middle", "time, in lengths of the limit");
    for (number, (curve, colour)) in curves.iter().zip(COLOURS).enumerate() {
        let mut times = curve.times.clone();
        times.sort_by(f64::total_cmp);
        let mut points = String::new();
        for step in 0..=200_u16 {
            let share = f64::from(step) / 200.0;
            let time = times[((times.len() - 1) as f64 * share) as usize];
            if time <= LONGEST {
                let _never_fails = write!(points, "{:.1},{:.1} ", along(time), across(share));
            }
        }
        let _never_fails = writeln!(
            svg,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
        );
        let y = across(0.9) + 20.0 * number as f64;
        line(&mut svg, (along(4.0), y - 4.0), (along(4.4), y - 4.0), colour);
        text(&mut svg, along(4.5), y, "start", &curve.name);
    }
    svg.push_str("</svg>\n");
    svg
}

fn along(time: f64) -> f64 {
    LEFT + (WIDTH - LEFT - RIGHT) * time / LONGEST
}

fn across(share: f64) -> f64 {
    HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64), colour: &str) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let _never_fails = writeln!(
        svg,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{colour}\" stroke-width=\"1.5\"/>"
    );
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    let _never_fails =
        writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>");
}
