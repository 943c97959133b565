// PercentilePlot: latency over the share of requests, the tail drawn wide.
//
// The horizontal axis is the logarithm of 1/(1 - share), as in HdrHistogram's own plots: each
// further nine takes as much room as the one before. It begins at the median.

internal import Load

/// The curves of one plot.
struct PercentilePlot {
    struct Curve {
        let name: String
        let points: [PercentilePoint]
        /// How many requests it tells of: the slowest stands at 1 - 1/count.
        let count: UInt64
    }
    let curves: [Curve]

    private static let nines: [(share: Double, name: String)] = [
        (0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"), (0.9999, "99.99 %"),
        (0.99999, "99.999 %"), (0.999999, "99.9999 %"), (0.9999999, "99.99999 %"),
    ]

    /// Nil if there is nothing to draw.
    func svg(_ width: PlotWidth) -> Markup? {
        let curves = curves.filter { !$0.points.isEmpty && $0.count > 0 }
        let values = curves.flatMap { drawn($0).map(\.microseconds) }
        guard let least = values.min(), let most = values.max() else { return nil }
        let frame = PlotFrame(width, legend: curves.map(\.name))
        let far = max(curves.map { Self.reach($0) }.max() ?? 0, 100)
        let x = Scale(
            from: 2, to: far, begin: frame.horizontal.begin, end: frame.horizontal.end,
            isLogarithmic: true)
        let isLogarithmic = most > 20 * max(least, 0.001)
        let y = Scale(
            from: isLogarithmic ? Self.floor(least) : 0, to: Scale.end(showing: most),
            begin: frame.vertical.begin, end: frame.vertical.end, isLogarithmic: isLogarithmic)
        return frame.svg(
            "Latency by percentile: " + curves.map(\.name).joined(separator: ", "),
            horizontal: (x, shareTicks(x, width), "share of the requests, by 1/(1 - share)"),
            vertical: (
                y, y.ticks(about: 10).map { ($0, NumberText.tick($0)) },
                "latency, µs" + (isLogarithmic ? " (logarithmic)" : "")
            ),
            marks(curves, x, y))
    }

    /// The part from the median on.
    private func drawn(_ curve: Curve) -> [PercentilePoint] {
        let begin = curve.points.firstIndex { $0.share >= 0.5 } ?? curve.points.count - 1
        return Array(curve.points[begin...])
    }

    /// 1/(1 - share) of the slowest request.
    private static func reach(_ curve: Curve) -> Double { max(Double(curve.count), 2) }

    private static func floor(_ value: Double) -> Double {
        let value = max(value, 0.001)
        let decade = power(decades(value).rounded(.down))
        return [5, 2, 1].map { $0 * decade }.first { $0 <= value } ?? decade
    }

    /// As many nines as have room.
    private func shareTicks(_ scale: Scale, _ width: PlotWidth) -> [(Double, String)] {
        let all = Self.nines.map { (1 / (1 - $0.share), $0.name) }
            .filter { $0.0 <= scale.to * 1.01 }
        guard width == .narrow, all.count > 5 else { return all }
        return all.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
    }

    private func marks(_ curves: [Curve], _ x: Scale, _ y: Scale) -> [Markup] {
        curves.enumerated().flatMap { index, curve in
            let reach = Self.reach(curve)
            let places = drawn(curve).map { point in
                let at = point.share < 1 ? min(1 / (1 - point.share), reach) : reach
                return (x: x.place(at), y: y.place(point.microseconds))
            }
            let most = curve.points.last?.microseconds ?? 0
            let series = PlotFrame.series(index)
            var marks = [Markup.path([places], "curve \(series)", curve.name)]
            if let last = places.last {
                marks.append(
                    .dot(
                        last.x, last.y, "dot \(series)",
                        "\(curve.name): slowest of \(NumberText.grouped(curve.count)): "
                            + "\(NumberText.latency(most)) µs"))
            }
            return marks
        }
    }
}
