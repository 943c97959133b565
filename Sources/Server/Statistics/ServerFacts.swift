// ServerFacts: what becomes known while the server starts and is shown in the statistics.

internal import Synchronization
internal import Uring

/// Words about this server. Any thread; off every hot road.
final class ServerFacts: Sendable {
    struct Facts: Sendable {
        var engine = Engine.uring
        var ringFeatures = ""
        var memory: ServerMemory?
    }

    private let facts = Mutex(Facts())

    var current: Facts { facts.withLock { $0 } }

    func update(_ change: @Sendable (inout Facts) -> Void) {
        facts.withLock { change(&$0) }
    }
}
