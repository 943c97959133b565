// ThroughputPlot: operations a second over the measured time; the axis begins at zero.

internal import Load

/// The curves of one plot: each target's rounds, one behind the other.
struct ThroughputPlot {
    /// More points than this are joined, several into one, by their sums.
    static let pointsMax = 300

    struct Point: Equatable {
        /// The middle of the stretch, and its length, in seconds since the first round began,
        /// as if nothing lay between the rounds.
        let at: Double
        let rate: Double
        let round: Int
    }
    struct Curve {
        let name: String
        /// By round.
        let stretches: [[Point]]
    }
    let curves: [Curve]

    init(_ section: ReportSection) {
        curves = section.comparison.targets.map { target in
            var offset = 0.0
            var stretches: [[Point]] = []
            let total = target.outcomes.reduce(0) { $0 + $1.series.count }
            let step = max((total + Self.pointsMax - 1) / Self.pointsMax, 1)
            for (round, outcome) in target.rounds.enumerated() {
                guard let outcome else { continue }
                stretches.append(Self.points(outcome.series, step, offset, round))
                offset += outcome.series.last.map { $0.start + $0.seconds } ?? outcome.seconds
            }
            return Curve(name: target.name, stretches: stretches)
        }
    }

    private static func points(
        _ series: [SeriesPoint], _ step: Int, _ offset: Double, _ round: Int
    ) -> [Point] {
        stride(from: 0, to: series.count, by: step).compactMap { first in
            let part = series[first..<min(first + step, series.count)]
            let seconds = part.reduce(0) { $0 + $1.seconds }
            // A rest of a moment says nothing about a rate.
            guard let begin = part.first?.start, seconds >= 0.05 || series.count == 1,
                seconds > 0
            else { return nil }
            let operations = part.reduce(0.0) { $0 + Double($1.operations) }
            return Point(
                at: offset + begin + seconds / 2, rate: operations / seconds, round: round)
        }
    }

    /// Nil if there is nothing to draw.
    func svg(_ width: PlotWidth) -> Markup? {
        let all = curves.flatMap { $0.stretches.flatMap(\.self) }
        guard let most = all.map(\.rate).max(), let last = all.map(\.at).max() else { return nil }
        let frame = PlotFrame(width, legend: curves.map(\.name))
        let x = Scale(
            from: 0, to: max(last * 1.02, 0.001), begin: frame.horizontal.begin,
            end: frame.horizontal.end)
        let y = Scale(
            from: 0, to: Scale.end(showing: most), begin: frame.vertical.begin,
            end: frame.vertical.end)
        let hasRounds = curves.contains { $0.stretches.count > 1 }
        return frame.svg(
            "Operations a second over time: " + curves.map(\.name).joined(separator: ", "),
            horizontal: (
                x, x.ticks(about: width == .wide ? 8 : 4).map { ($0, NumberText.tick($0)) },
                "measured seconds" + (hasRounds ? ", round after round" : "")
            ),
            vertical: (
                y, y.ticks(about: 5).map { ($0, NumberText.tick($0)) }, "operations a second"
            ),
            curves.enumerated().flatMap { index, curve in marks(index, curve, x, y) })
    }

    private func marks(_ index: Int, _ curve: Curve, _ x: Scale, _ y: Scale) -> [Markup] {
        let series = PlotFrame.series(index)
        let places = curve.stretches.map { $0.map { (x: x.place($0.at), y: y.place($0.rate)) } }
        let points = curve.stretches.flatMap(\.self)
        var marks: [Markup] = []
        if places.contains(where: { !$0.isEmpty }) {
            marks.append(.path(places, "curve \(series)", curve.name))
        }
        guard points.count <= 60 else { return marks }
        return marks
            + points.map { point in
                .dot(
                    x.place(point.at), y.place(point.rate), "dot \(series)",
                    "\(curve.name), round \(point.round + 1): "
                        + "\(NumberText.grouped(point.rate)) a second")
            }
    }
}
