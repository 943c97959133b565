// BarPlot: medians as bars from zero, with how far the rounds reached; one group per load.

internal import Load

/// A panel of bars. Within a group all bars have one scale; groups have their own, since loads
/// differ by orders of magnitude.
struct BarPlot {
    struct Bar {
        let series: Int
        let name: String
        let spread: Spread?
        let ratio: Spread?
    }
    struct Group {
        let title: String
        let bars: [Bar]
    }
    let title: String
    let groups: [Group]

    static let rowHeight = 36.0
    static let titleHeight = 28.0
    static let panelGap = 16.0

    /// The bars of a figure for each load.
    init(
        _ title: String, _ sections: [ReportSection], scaledBy factor: Double = 1,
        _ figure: @escaping (Outcome) -> Double?
    ) {
        self.title = title
        groups = sections.map { section in
            Group(
                title: sections.count > 1 ? section.title : "",
                bars: section.names.indices.map { index in
                    Bar(
                        series: index, name: section.names[index],
                        spread: section.comparison.spread(of: index) { outcome in
                            figure(outcome).map { $0 * factor }
                        },
                        ratio: section.comparison.ratio(of: index, figure))
                })
        }
    }

    func height(_ group: Group) -> Double {
        (group.title.isEmpty ? 0 : Self.titleHeight) + Double(group.bars.count) * Self.rowHeight
    }
    var height: Double { 30 + groups.reduce(0) { $0 + height($1) } + 4 }

    /// The panel as a part of a picture, `width` pixels wide.
    func marks(width: Double) -> [Markup] {
        var marks: [Markup] = [.label(4, 16, title, "heading")]
        var y = 30.0
        for group in groups {
            if !group.title.isEmpty {
                let room = Int(width / PlotFrame.letterWidth)
                marks.append(.label(4, y + 18, PlainText.shortened(group.title, room), "group"))
                y += Self.titleHeight
            }
            let most = group.bars.compactMap { $0.spread?.most }.max() ?? 0
            let scale = Scale(from: 0, to: max(most, 1e-9), begin: 4, end: width - 14)
            for bar in group.bars {
                marks += row(bar, y, scale, width)
                y += Self.rowHeight
            }
        }
        return marks
    }

    private func row(_ bar: Bar, _ y: Double, _ scale: Scale, _ width: Double) -> [Markup] {
        let figures = Self.figures(bar)
        let room = Int(width / PlotFrame.letterWidth) - figures.count - 3
        var marks: [Markup] = [
            .label(4, y + 12, PlainText.shortened(bar.name, max(room, 6)), "legend"),
            .label(width - 14, y + 12, figures, "figure end"),
        ]
        guard let spread = bar.spread else { return marks }
        let (begin, end) = (scale.place(0), scale.place(spread.median))
        marks.append(
            .tag(
                "rect",
                [
                    "class": "bar f\(bar.series % PlotFrame.colourCount)", "x": px(begin),
                    "y": px(y + 17), "width": px(max(end - begin, 1)), "height": "12", "rx": "2",
                ]))
        guard spread.most > spread.least else { return marks }
        let (least, most, middle) = (scale.place(spread.least), scale.place(spread.most), y + 23)
        marks.append(.line(least, middle, most, middle, "reach"))
        marks.append(.line(least, middle - 4, least, middle + 4, "reach"))
        marks.append(.line(most, middle - 4, most, middle + 4, "reach"))
        return marks
    }

    /// `412k (395k-421k), ×1.32`.
    static func figures(_ bar: Bar) -> String {
        guard let spread = bar.spread else { return "not known" }
        let reach =
            spread.most > spread.least
            ? " (\(NumberText.scaled(spread.least))–\(NumberText.scaled(spread.most)))" : ""
        let ratio =
            bar.series > 0 && bar.ratio != nil
            ? " ×\(ComparisonText.ratio(bar.ratio))" : ""
        return NumberText.scaled(spread.median) + reach + ratio
    }

    /// Panels side by side, or one below the other where there is little room.
    static func svg(_ panels: [BarPlot], _ width: PlotWidth, _ label: String) -> Markup {
        let isWide = width == .wide
        let column = isWide ? width.rawValue / Double(max(panels.count, 1)) : width.rawValue
        let heights = panels.map(\.height)
        let height =
            isWide
            ? heights.max() ?? 0
            : heights.reduce(-Self.panelGap) { $0 + $1 + Self.panelGap }
        var y = 0.0
        let parts = panels.enumerated().map { index, panel in
            let (left, top) = isWide ? (Double(index) * column, 0) : (0, y)
            y += panel.height + (isWide ? 0 : Self.panelGap)
            return Markup.tag(
                "g", ["transform": "translate(\(px(left)) \(px(top)))"],
                panel.marks(width: column - (isWide ? 12 : 0)))
        }
        return .tag(
            "svg",
            [
                "xmlns": "http://www.w3.org/2000/svg",
                "viewBox": "0 0 \(px(width.rawValue)) \(px(height))",
                "width": px(width.rawValue), "height": px(height), "role": "img",
                "aria-label": label,
            ], parts)
    }
}
