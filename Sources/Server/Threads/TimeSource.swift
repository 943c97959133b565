// TimeSource: where a worker's time comes from: the system, or a test.

public import Primitives

/// One reading of the clocks.
public struct Moment: BitwiseCopyable, Sendable {
    /// Never goes back; for how long something lasts.
    public var nanoseconds: UInt64
    /// Seconds since 1970 by the cache's own count (`Clock.cacheNanoseconds`); for what expires.
    /// Never goes back, but by a debugger's hand.
    public var seconds: UInt32
    /// What `seconds` is above the system's clock, which may be set: 0 as long as nobody does.
    public var secondsAhead: Int64

    public init(nanoseconds: UInt64, seconds: UInt32, secondsAhead: Int64 = 0) {
        self.nanoseconds = nanoseconds
        self.seconds = seconds
        self.secondsAhead = secondsAhead
    }

    /// Seconds since 1970 as the system's clock has them; for the dates that clients are told.
    public var systemSeconds: UInt32 { UInt32(clamping: Int64(seconds) &- secondsAhead) }
}

/// A clock that is passed in. A plain value; a manual one is moved by whoever made it.
public struct TimeSource: BitwiseCopyable, Sendable {
    private let words: Region?

    /// The system's clocks.
    public static let system = TimeSource(words: nil)

    private init(words: Region?) { self.words = words }

    /// A clock that stands at `moment` until it is moved.
    public static func manual(_ moment: Moment) throws(MemoryError) -> TimeSource {
        let source = TimeSource(words: try Region.map(byteCount: 4096))
        source.move(to: moment)
        return source
    }

    /// Moves a manual clock; the system's cannot be moved.
    public func move(to moment: Moment) {
        guard let words else { return }
        words.atomic64(at: 0).storeRelaxed(moment.nanoseconds)
        words.atomic64(at: 8).storeRelaxed(UInt64(moment.seconds))
        words.atomic64(at: 16).storeRelaxed(UInt64(bitPattern: moment.secondsAhead))
    }

    /// The clock that never goes back, alone.
    @inline(__always)
    func nanoseconds() -> UInt64 {
        words.map { $0.atomic64(at: 0).loadRelaxed() } ?? Clock.monotonicNanoseconds()
    }

    @inline(__always)
    func now() -> Moment {
        guard let words else {
            let nanoseconds = Clock.monotonicNanoseconds()
            let seconds = UInt32(
                clamping: Clock.cacheNanoseconds(at: nanoseconds) / 1_000_000_000)
            return Moment(
                nanoseconds: nanoseconds, seconds: seconds,
                secondsAhead: Int64(seconds) - Int64(UInt32(clamping: Clock.unixSeconds())))
        }
        return Moment(
            nanoseconds: words.atomic64(at: 0).loadRelaxed(),
            seconds: UInt32(truncatingIfNeeded: words.atomic64(at: 8).loadRelaxed()),
            secondsAhead: Int64(bitPattern: words.atomic64(at: 16).loadRelaxed()))
    }
}
