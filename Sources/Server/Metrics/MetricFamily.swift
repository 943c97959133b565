// MetricFamily: what is exported, without the form in which it is.
//
// A family is a name with its meaning and its kind; its samples differ by labels. Names follow
// Prometheus: base units, counters without the `_total` that the form adds. Off every hot road.

/// What a number does over time.
public enum MetricKind: String, Sendable {
    case counter, gauge, histogram
}

/// A number, exact where it can be.
public enum MetricValue: Sendable, Equatable {
    case integer(UInt64)
    case real(Double)
}

/// One number of a family.
public struct MetricSample: Sendable, Equatable {
    /// `_bucket`, `_sum` or `_count` for the parts of a histogram; else empty.
    public var suffix = ""
    /// In order; values are not escaped.
    public var labels: [Label] = []
    public var value: MetricValue

    public struct Label: Sendable, Equatable {
        public var name: String
        public var value: String

        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    public init(suffix: String = "", labels: [Label] = [], value: MetricValue) {
        self.suffix = suffix
        self.labels = labels
        self.value = value
    }
}

/// A name, what it means, and all its numbers.
public struct MetricFamily: Sendable, Equatable {
    public let name: String
    public let help: String
    public let kind: MetricKind
    public var samples: [MetricSample]

    public init(name: String, help: String, kind: MetricKind, samples: [MetricSample]) {
        self.name = name
        self.help = help
        self.kind = kind
        self.samples = samples
    }
}

/// Collects families.
struct MetricsBuilder {
    private(set) var families: [MetricFamily] = []
    let prefix: String

    init(prefix: String) { self.prefix = prefix }

    mutating func counter(_ name: String, _ help: String, _ value: UInt64) {
        add(name, help, .counter, [MetricSample(value: .integer(value))])
    }

    mutating func counter(_ name: String, _ help: String, seconds: Double) {
        add(name, help, .counter, [MetricSample(value: .real(seconds))])
    }

    mutating func counter(
        _ name: String, _ help: String, by label: String, _ values: [(String, UInt64)]
    ) {
        add(name, help, .counter, Self.samples(label, values))
    }

    mutating func gauge(_ name: String, _ help: String, _ value: UInt64) {
        add(name, help, .gauge, [MetricSample(value: .integer(value))])
    }

    mutating func gauge(_ name: String, _ help: String, real value: Double) {
        add(name, help, .gauge, [MetricSample(value: .real(value))])
    }

    mutating func gauge(
        _ name: String, _ help: String, by label: String, _ values: [(String, UInt64)]
    ) {
        add(name, help, .gauge, Self.samples(label, values))
    }

    /// A gauge of 1 whose labels say something.
    mutating func info(_ name: String, _ help: String, _ labels: [(String, String)]) {
        let sample = MetricSample(
            labels: labels.map { MetricSample.Label(name: $0.0, value: $0.1) },
            value: .integer(1))
        add(name, help, .gauge, [sample])
    }

    /// A histogram with bounds of its own, in nanoseconds as its sum; one more count is of what is
    /// beyond them.
    mutating func histogram(
        _ name: String, _ help: String, bounds: [UInt64], counts: [UInt64], sum: UInt64
    ) {
        var samples: [MetricSample] = []
        var seen: UInt64 = 0
        for (index, count) in counts.enumerated() {
            seen &+= count
            samples.append(
                Self.bucket(index < bounds.count ? bounds[index] : nil, seen, labels: []))
        }
        add(name, help, .histogram, samples + Self.ends(seen, sum, labels: []))
    }

    /// Histograms that one label tells apart; without a label, one of them.
    mutating func histogram(
        _ name: String, _ help: String, by label: String?, _ all: [(String, LatencyHistogram)]
    ) {
        var samples: [MetricSample] = []
        for (value, histogram) in all {
            let own = label.map { [MetricSample.Label(name: $0, value: value)] } ?? []
            samples += Self.buckets(histogram, own)
        }
        add(name, help, .histogram, samples)
    }

    private static func buckets(
        _ histogram: LatencyHistogram, _ labels: [MetricSample.Label]
    ) -> [MetricSample] {
        var samples: [MetricSample] = []
        var seen: UInt64 = 0
        for (index, count) in histogram.counts.enumerated() {
            seen &+= count
            let bound = index < LatencyScale.bounds ? LatencyScale.nanoseconds[index] : nil
            guard bound.map(Self.isExported) ?? true else { continue }
            samples.append(Self.bucket(bound, seen, labels: labels))
        }
        return samples + Self.ends(seen, histogram.sumNanoseconds, labels: labels)
    }

    private static func bucket(
        _ bound: UInt64?, _ seen: UInt64, labels: [MetricSample.Label]
    ) -> MetricSample {
        let text = bound.map { "\(Double($0) / 1e9)" } ?? "+Inf"
        return MetricSample(
            suffix: "_bucket", labels: labels + [MetricSample.Label(name: "le", value: text)],
            value: .integer(seen))
    }

    private static func ends(
        _ count: UInt64, _ nanoseconds: UInt64, labels: [MetricSample.Label]
    ) -> [MetricSample] {
        [
            MetricSample(suffix: "_sum", labels: labels, value: .real(Double(nanoseconds) / 1e9)),
            MetricSample(suffix: "_count", labels: labels, value: .integer(count)),
        ]
    }

    /// 1, 2.5 and 5 of each decade from 5 µs on; the others are for `stats latency` and the page.
    private static func isExported(_ nanoseconds: UInt64) -> Bool {
        guard nanoseconds >= 5000 else { return false }
        var lead = nanoseconds
        while lead >= 1000 { lead /= 10 }
        return lead == 100 || lead == 250 || lead == 500
    }

    private static func samples(
        _ label: String, _ values: [(String, UInt64)]
    ) -> [MetricSample] {
        values.map {
            MetricSample(
                labels: [MetricSample.Label(name: label, value: $0.0)], value: .integer($0.1))
        }
    }

    mutating func add(
        _ name: String, _ help: String, _ kind: MetricKind, _ samples: [MetricSample]
    ) {
        families.append(
            MetricFamily(name: prefix + name, help: help, kind: kind, samples: samples))
    }
}
