// PlotFrame: what all plots with two axes share: the frame, the grid, the names of the axes and
// the legend. Curves come from the plots themselves.

/// How wide a plot is drawn: once for wide windows, once for narrow ones, so that letters keep
/// their size.
enum PlotWidth: Double, CaseIterable {
    case wide = 860
    case narrow = 350
    var name: String { self == .wide ? "wide" : "narrow" }
}

/// Pixels of a plot area, and what is drawn around it.
struct PlotFrame {
    static let letterWidth = 6.8
    static let lineHeight = 18.0
    /// Colours that are told apart; further curves begin anew with another dash.
    static let colourCount = 6

    let width: Double
    let legend: [String]
    let left = 62.0
    let right = 18.0
    let bottom = 46.0
    let plotHeight: Double

    init(_ width: PlotWidth, legend: [String]) {
        self.width = width.rawValue
        self.legend = legend
        plotHeight = width == .wide ? 280 : 220
    }

    var top: Double { Double(legendLines.count) * Self.lineHeight + 26 }
    var height: Double { top + plotHeight + bottom }
    var horizontal: (begin: Double, end: Double) { (left, width - right) }
    var vertical: (begin: Double, end: Double) { (top + plotHeight, top) }

    /// The whole plot as a picture with a text for those who do not see it.
    func svg(
        _ label: String, horizontal: (Scale, [(Double, String)], String),
        vertical: (Scale, [(Double, String)], String), _ marks: [Markup]
    ) -> Markup {
        .tag(
            "svg",
            [
                "xmlns": "http://www.w3.org/2000/svg", "viewBox": "0 0 \(px(width)) \(px(height))",
                "width": px(width), "height": px(height), "role": "img", "aria-label": label,
            ],
            legendMarks + grid(horizontal, vertical) + marks)
    }

    private func grid(
        _ horizontal: (Scale, [(Double, String)], String),
        _ vertical: (Scale, [(Double, String)], String)
    ) -> [Markup] {
        let floor = top + plotHeight
        var marks: [Markup] = []
        for (value, name) in vertical.1 {
            let y = vertical.0.place(value)
            marks.append(.line(left, y, width - right, y, "grid"))
            marks.append(.label(left - 8, y + 4, name, "tick end"))
        }
        for (value, name) in horizontal.1 {
            let x = horizontal.0.place(value)
            marks.append(.line(x, top, x, floor, "grid"))
            marks.append(.label(x, floor + 17, name, "tick middle"))
        }
        marks.append(.line(left, floor, width - right, floor, "axis"))
        marks.append(.line(left, top, left, floor, "axis"))
        marks.append(.label(4, top - 10, vertical.2, "name"))
        marks.append(.label(width - right, floor + 37, horizontal.2, "name end"))
        return marks
    }

    // MARK: Legend

    private struct Entry {
        let index: Int
        let name: String
        let x: Double
    }

    /// Entries by line, as many in each as fit.
    private var legendLines: [[Entry]] {
        guard legend.count > 1 else { return [] }
        var lines: [[Entry]] = [[]]
        var x = 4.0
        for (index, name) in legend.enumerated() {
            let shown = PlainText.shortened(name, Int((width - 50) / Self.letterWidth))
            let needed = 30 + Double(shown.count) * Self.letterWidth + 14
            if x + needed > width, !(lines.last ?? []).isEmpty {
                lines.append([])
                x = 4
            }
            lines[lines.count - 1].append(Entry(index: index, name: shown, x: x))
            x += needed
        }
        return lines
    }

    private var legendMarks: [Markup] {
        legendLines.enumerated().flatMap { number, line in
            let y = 12 + Double(number) * Self.lineHeight
            return line.flatMap { entry in
                [
                    Markup.line(
                        entry.x, y - 4, entry.x + 24, y - 4, "curve " + Self.series(entry.index)),
                    Markup.label(entry.x + 30, y, entry.name, "legend"),
                ]
            }
        }
    }

    /// The class of a curve: its colour, and its dash from the seventh on.
    static func series(_ index: Int) -> String {
        "s\(index % colourCount)" + (index >= colourCount ? " dashed" : "")
    }
}

/// A length in an attribute: a tenth of a pixel is enough; what is no number is 0.
func px(_ value: Double) -> String {
    guard value.isFinite else { return "0" }
    let text = NumberText.fixed(value, 1)
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
}

extension Markup {
    static func line(
        _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ name: String
    ) -> Markup {
        .tag(
            "line",
            ["class": name, "x1": px(x1), "y1": px(y1), "x2": px(x2), "y2": px(y2)])
    }

    static func label(_ x: Double, _ y: Double, _ text: String, _ name: String) -> Markup {
        .tag("text", ["class": name, "x": px(x), "y": px(y)], text)
    }

    /// A curve through places in pixels; stretches are not joined.
    static func path(_ stretches: [[(x: Double, y: Double)]], _ name: String, _ title: String)
        -> Markup
    {
        let text = stretches.filter { !$0.isEmpty }.map { points in
            "M" + points.map { "\(px($0.x)) \(px($0.y))" }.joined(separator: "L")
        }.joined()
        return .tag("path", ["class": name, "d": text], [.tag("title", [:], title)])
    }

    static func dot(_ x: Double, _ y: Double, _ name: String, _ title: String) -> Markup {
        .tag(
            "circle", ["class": name, "cx": px(x), "cy": px(y), "r": "3.5"],
            [.tag("title", [:], title)])
    }
}
