// Host: what surrounds a server: who started it, with which sockets, and who knows its settings.

internal import Primitives

/// How lines of the log are written.
public enum LogFormat: String, Sendable, CaseIterable {
    case text, json, logfmt
}

/// A listening socket that the process was started with.
public struct InheritedSocket: Sendable, Equatable {
    public let descriptor: Int32
    public let isAdmin: Bool

    public init(descriptor: Int32, isAdmin: Bool) {
        self.descriptor = descriptor
        self.isAdmin = isAdmin
    }
}

/// Settings of the process as a guest of its system: how it begins, speaks and ends.
public struct HostSettings: Sendable, Equatable {
    /// Sockets that take the place of those that the settings would name.
    public var inherited: [InheritedSocket] = []
    /// `-d`: the command goes to the background before it serves.
    public var isDaemon = false
    public var logFormat = LogFormat.text
    /// Seconds that a stopping server goes on serving, while /readyz says no.
    public var drainDelaySeconds = 0
    /// How long a stopping server waits for a peer in the middle of a request or reply that does
    /// nothing.
    public var drainTimeoutMilliseconds = 300

    public init() {}

    public static let drainDelaySecondsRange = 0...3600
    public static let drainTimeoutMillisecondsRange = 0...3_600_000
}

/// What an operator may have done from outside the protocol.
struct OperatorOrders: Sendable {
    var reload: @Sendable () -> ReloadOutcome
    var flush: @Sendable () -> Void
    /// The settings as they are now, as a start would find them, and if nobody had chosen any.
    var settings: @Sendable () -> Settings
    var configured: @Sendable () throws -> Settings
    var defaults: @Sendable () throws -> Settings
}

/// What the command does for the server while it runs.
public struct Host: Sendable {
    public var manager = ServiceManager.none
    /// Reads the settings once more, all of them or none; nil if they cannot change.
    public var settingsAgain: (@Sendable () throws -> Settings)?
    /// The settings of a start that is told nothing.
    public var defaults: @Sendable () throws -> Settings = { Settings() }
    /// Settings took effect: those that are the command's own business.
    public var adopt: @Sendable (Settings) -> Void = { _ in }
    /// Once a second.
    public var tick: @Sendable () -> Void = {}

    public init() {}
}
