//! The report page: how it looks as text, that no text breaks out of it, and that no number breaks a chart.

use mtlc::report::{Chart, Point, Report, Scatter, Series, Table, html};

fn chart(points: &[(f64, f64)]) -> Chart {
    let series = vec![Series { name: "train".into(), points: points.to_vec() }];
    Chart { title: "loss".into(), x_label: "epoch".into(), y_label: "nats".into(), series, log_y: false }
}

fn page(chart: Chart) -> String {
    html(&Report { title: "t".into(), charts: vec![chart], ..Report::default() })
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|s| s.to_string()).collect()
}

#[test]
fn a_small_report() {
    let report = Report {
        title: "tumour".into(),
        subtitle: "trained for 3 epochs".into(),
        facts: vec![("parameters".into(), "2,817 trained".into()), ("seed".into(), "7".into())],
        charts: vec![chart(&[(1.0, 0.9), (2.0, 0.5), (3.0, 0.4)]), Chart { title: "nothing".into(), ..chart(&[]) }],
        tables: vec![Table {
            title: "metrics".into(),
            header: strings(&["task", "value"]),
            rows: vec![strings(&["auroc", "0.99"]), strings(&["rmse", "–"])],
        }],
        listings: vec![("spec".into(), "model tumour\n  # α < β".into())],
        ..Report::default()
    };
    let page = html(&report);
    let (head, rest) = page.split_once("<style>").unwrap();
    let (_, body) = rest.split_once("</style>").unwrap();
    insta::assert_snapshot!(format!("{head}<style>…</style>{body}"));
    assert_eq!(html(&report), page);
}

#[test]
fn no_text_breaks_out() {
    let hostile = "</pre></style><script>alert('x')</script>\" onload=\"x\" &amp; \0 \u{1b}[31m";
    let text = || hostile.to_string();
    let report = Report {
        title: text(),
        subtitle: text(),
        facts: vec![(text(), text())],
        charts: vec![Chart {
            title: text(),
            x_label: text(),
            y_label: text(),
            series: vec![Series { name: text(), points: vec![(1.0, 2.0)] }],
            log_y: false,
        }],
        tables: vec![Table { title: text(), header: vec![text()], rows: vec![vec![text()]] }],
        listings: vec![(text(), text())],
        ..Report::default()
    };
    let page = html(&report);
    let escaped = "&lt;/pre&gt;&lt;/style&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;\
                   &quot; onload=&quot;x&quot; &amp;amp; \u{fffd} \u{fffd}[31m";
    // Title twice, subtitle, fact twice, chart title, series, two labels and their two places in the description, table
    // title, header, cell, listing twice.
    assert_eq!(page.matches(escaped).count(), 16);
    for forbidden in ["<script", "onload=\"", "\0", "\u{1b}"] {
        assert!(!page.contains(forbidden), "{forbidden:?} got out");
    }
    assert_eq!(page.matches("</style>").count(), 1);
}

#[test]
fn the_page_needs_nothing_else() {
    let page = page(chart(&[(1.0, 2.0), (2.0, 3.0)]));
    for resource in ["src=", "href=", "url(", "@import", "<script", "<link"] {
        assert!(!page.contains(resource), "{resource}");
    }
    assert!(page.contains("default-src 'none'") && page.contains("prefers-color-scheme: dark"));
}

#[test]
fn every_colour_of_a_chart_follows_the_theme() {
    let mut chart = chart(&[]);
    chart.series = (0..20)
        .map(|i| Series { name: i.to_string(), points: (0..1 + i % 3).map(|x| (f64::from(x), f64::from(i))).collect() })
        .collect();
    let page = page(chart);
    let (style, svg) = page.split_once("</style>").unwrap();
    let colours: Vec<&str> = svg.match_indices("=\"#").map(|(i, _)| &svg[i + 2..i + 9]).collect();
    assert!(colours.len() > 20);
    for colour in colours {
        assert!(style.contains(&format!("=\"{colour}\"]")), "{colour} is not in the style sheet");
    }
}

#[test]
fn points_without_a_place_are_left_out_and_counted() {
    let odd = [(1.0, f64::NAN), (f64::INFINITY, 1.0), (2.0, f64::NEG_INFINITY), (3.0, 1.0), (4.0, 2.0), (5.0, 1e300)];
    let linear = page(chart(&odd));
    assert!(linear.contains("4 points are not drawn: not finite") && linear.contains("<polyline"));
    assert!(!linear.contains("NaN") && !linear.contains("inf"));
    let log = page(Chart { log_y: true, ..chart(&[(1.0, 0.0), (2.0, 1.0), (3.0, 10.0)]) });
    assert!(log.contains("1 point is not drawn: not finite, or not above 0"));
    let none = page(chart(&[(1.0, f64::NAN)]));
    assert!(none.contains("no data") && none.contains("1 point is not drawn") && !none.contains("<svg"));
    assert!(page(Chart::default()).contains("no data"));
}

#[test]
fn single_points_constants_and_extremes_give_sound_axes() {
    let one = page(chart(&[(3.0, 0.25)]));
    assert!(one.contains("<circle") && one.contains(">\n0.25\n<"), "{one}");
    let constant = page(chart(&[(0.0, 7.0), (1.0, 7.0), (2.0, 7.0)]));
    assert!(constant.contains("<polyline") && constant.contains(">\n7\n<"));
    for points in [
        &[(0.0, 0.0), (1.0, 0.0)][..],
        &[(0.0, 1e99), (1.0, -1e99)],
        &[(0.0, 1e-320), (1.0, 2e-320)],
        &[(0.0, 1e15), (1.0, 1e15 + 1.0)],
        &[(1e9, 1e-12), (1e9 + 1.0, 2e-12)],
        &[(0.0, f64::MIN_POSITIVE), (0.0, f64::MAX)],
        &[(-0.0, -1e-99), (0.0, 1e99)],
    ] {
        for log_y in [false, true] {
            let page = page(Chart { log_y, ..chart(points) });
            assert!(page.contains("</figure>") && !page.contains("NaN"), "{points:?}");
            assert!(page.len() < 60_000, "{points:?}");
        }
    }
}

#[test]
fn a_long_curve_is_thinned_but_keeps_its_spike() {
    let mut points: Vec<_> = (0..100_000).map(|i| (f64::from(i), 1.0)).collect();
    points[54_321].1 = 50.0;
    let long = page(chart(&points));
    assert!(long.len() < 60_000, "{}", long.len());
    assert!(long.contains(">\n50\n<"), "the axis reaches the spike");
    let line = long.split_once("<polyline").and_then(|(_, rest)| rest.split_once("points=\"")).unwrap().1;
    let heights =
        line.split_once('"').unwrap().0.split_whitespace().map(|p| p.split_once(',').unwrap().1.parse::<i32>());
    let heights: Vec<i32> = heights.map(Result::unwrap).collect();
    assert!(heights.iter().max().unwrap() - heights.iter().min().unwrap() > 500, "the line reaches the spike");
}

#[test]
fn columns_of_numbers_are_aligned() {
    let rows = vec![strings(&["0.5 ms", "2 of 3 parts", "−1.2e-3"]), strings(&["–", "7", "95 %"])];
    let table = Table { title: "t".into(), header: strings(&["a", "b", "c"]), rows };
    let page = html(&Report { tables: vec![table], ..Report::default() });
    let header: Vec<&str> = page.lines().filter(|line| line.starts_with("<th scope")).collect();
    assert_eq!(
        header,
        [
            "<th scope=\"col\" class=\"number\">a</th>",
            "<th scope=\"col\">b</th>",
            "<th scope=\"col\" class=\"number\">c</th>"
        ]
    );
}

#[test]
fn points_are_plotted_and_those_without_numbers_told() {
    let point = |name: &str, x: f64, y: f64, is_front: bool| Point { name: name.into(), x, y, is_front };
    let points = vec![point("1", 0.5, 1.0, true), point("2", 0.4, 2.0, false), point("<b>", 0.7, 0.5, true)];
    let scatter = |points: Vec<Point>| Scatter { title: "a & b".into(), points, joined: true, ..Scatter::default() };
    let page = |points| html(&Report { scatters: vec![scatter(points)], ..Report::default() });
    let whole = page(points.clone());
    assert_eq!(whole.matches("<circle").count(), 3);
    let line = |page: &str| page.lines().any(|l| l.contains("<polyline") && l.contains("#2F6DB5"));
    assert!(line(&whole), "a line joins the front: {whole}");
    assert!(whole.contains("a &amp; b") && whole.contains("&lt;b&gt;") && !whole.contains("<b>\n"));
    assert!(whole.contains("on the Pareto front <b>2</b>") && whole.contains("beaten by another <b>1</b>"));
    let broken = page([points, vec![point("4", f64::NAN, 1.0, false)]].concat());
    assert!(broken.contains("1 point is not drawn") && broken.matches("<circle").count() == 3);
    assert!(page(vec![]).contains("no data"));
}
