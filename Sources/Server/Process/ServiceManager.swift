// ServiceManager: what systemd, or whoever speaks its protocol, is told of this process, and how
// often it wants to hear that it lives.

internal import Primitives

/// The manager that started this process, if there is one. Any thread.
public struct ServiceManager: Sendable {
    private let socket: ServiceSocket?
    /// It kills a process that has not said for so long that it lives.
    public let watchdogMicroseconds: UInt64?

    /// Reads the manager's variables; `processID` is this process, which they have to name.
    public init(environment: [String: String], processID: Int32) {
        socket = environment["NOTIFY_SOCKET"].flatMap { ServiceSocket($0) }
        let isMeant = environment["WATCHDOG_PID"].map { $0 == "\(processID)" } ?? true
        let limit = environment["WATCHDOG_USEC"].flatMap { UInt64($0) } ?? 0
        watchdogMicroseconds = isMeant && limit > 0 && socket != nil ? limit : nil
    }

    /// Nobody wants to know.
    public static let none = ServiceManager(environment: [:], processID: 0)

    func ready(_ status: String) { tell("READY=1\nSTATUS=\(Self.line(status))") }
    /// The settings have been read again; what was said of the state still holds.
    func readyAgain() { tell("READY=1") }
    func status(_ text: String) { tell("STATUS=\(Self.line(text))") }
    func alive() { tell("WATCHDOG=1") }

    /// The settings are being read again; `ready` ends that.
    func reloading() {
        tell("RELOADING=1\nMONOTONIC_USEC=\(Clock.monotonicNanoseconds() / 1000)")
    }

    /// The process stops, and may take so long.
    func stopping(_ status: String, withinNanoseconds limit: UInt64) {
        tell("STOPPING=1\nSTATUS=\(Self.line(status))\nEXTEND_TIMEOUT_USEC=\(limit / 1000)")
    }

    private func tell(_ text: String) { socket?.send(text) }

    private static func line(_ text: String) -> String {
        String(text.map { $0.isNewline ? " " : $0 })
    }
}

/// What the manager is told of the state: where it serves, and how far it is while the index is
/// refilled.
public struct ServingStatus: Sendable {
    private let places: String
    private var isSettled = false

    public init(places: String) { self.places = places }

    /// The text of now; nil if nothing has changed since the last call, nor will.
    public mutating func next(_ store: () -> (isRecovering: Bool, items: UInt64)) -> String? {
        guard !isSettled else { return nil }
        let (isRecovering, items) = store()
        isSettled = !isRecovering
        return "serving on \(places)" + (isRecovering ? ", recovering, \(items) items so far" : "")
    }
}

/// When the manager is told that the process lives: only if every worker has had a turn since it
/// was told last. Each has one a second at least; a disk that hangs keeps none from it.
struct Heartbeat {
    private let interval: UInt64
    private var lookedAt: UInt64
    private var turns: [UInt64]

    /// Shorter limits are too short for turns that come once a second.
    static let microsecondsMin: UInt64 = 4_000_000

    /// - Parameter limit: After how many microseconds of silence the process is killed.
    init(limitMicroseconds limit: UInt64, turns: [UInt64], at now: UInt64) {
        interval = limit * 1000 / 4
        lookedAt = now
        self.turns = turns
    }

    /// Whether to say so now, if the workers have had so many turns.
    mutating func isDue(_ latest: [UInt64], at now: UInt64) -> Bool {
        guard now &- lookedAt >= interval else { return false }
        guard zip(latest, turns).allSatisfy({ $0 != $1 }) else { return false }
        lookedAt = now
        turns = latest
        return true
    }
}
