// Tuning: the settings that may change while the server runs, in words that any thread reads.

internal import Primitives

/// What a reload has changed; all else stands in the settings of the start.
struct Tuning: BitwiseCopyable, Sendable {
    enum Choice: Int, CaseIterable {
        case idleTimeoutSeconds, connectionsMax, requestsPerTurnMax, flushIntervalMilliseconds
        case drainDelaySeconds, drainTimeoutMilliseconds
        /// The stop has no more time for anybody.
        case isHurried
    }

    private let words: Region

    init() throws(MemoryError) { words = try Region.map(byteCount: 4096) }

    /// Nil if nobody has chosen.
    subscript(choice: Choice) -> Int? {
        get {
            let word = words.atomic64(at: choice.rawValue * 8).loadRelaxed()
            return word == 0 ? nil : Int(word - 1)
        }
        nonmutating set {
            words.atomic64(at: choice.rawValue * 8).storeRelaxed(
                newValue.map { UInt64($0) + 1 } ?? 0)
        }
    }
}

extension SharedState {
    /// Connections that may be open now.
    public var connectionsMax: Int { tuning[.connectionsMax] ?? settings.connectionsMax }
    var idleTimeoutSeconds: Int { tuning[.idleTimeoutSeconds] ?? settings.idleTimeoutSeconds }
    var requestsPerTurnMax: Int { tuning[.requestsPerTurnMax] ?? settings.requestsPerTurnMax }

    var drainDelayNanoseconds: UInt64 {
        UInt64(tuning[.drainDelaySeconds] ?? settings.host.drainDelaySeconds) * 1_000_000_000
    }
    var drainTimeoutNanoseconds: UInt64 {
        let chosen = tuning[.drainTimeoutMilliseconds] ?? settings.host.drainTimeoutMilliseconds
        return UInt64(chosen) * 1_000_000
    }

    /// Whether a stopping server waits for nobody any more.
    var isHurried: Bool {
        get { tuning[.isHurried] != nil }
        set { tuning[.isHurried] = newValue ? 1 : nil }
    }
}
