// AdminServer: the thread of the admin port: one event loop, its sockets, a tick each second.
//
// It starts after the workers and ends before them. Whatever happens here, no worker waits for it.

internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
public import Primitives
public import Server
internal import Synchronization
public import Uring

/// The running admin port.
public final class AdminServer: AdminPort {
    private let group: MultiThreadedEventLoopGroup
    private let channels: Mutex<[any Channel]>
    private let core: NIOLoopBound<AdminCore>

    /// How much one may ask at a time, and for how long.
    enum Limits {
        static let connectionsMax = 32
        static let headBytesMax = 8 << 10
        static let bodyBytesMax = 64 << 10
        static let headSecondsMax = 5
        static let idleSecondsMax = 60
    }

    /// Serves on sockets that listen already; they are its own from now on.
    public static func start(
        listeners: [Listener], shared: SharedState, events: EventLog
    ) throws -> any AdminPort {
        let token = try shared.settings.admin.tokenFile.map { path in try AdminToken(file: path) }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let core = try loop.submit {
            NIOLoopBound(AdminCore(shared, token: token), eventLoop: loop)
        }.wait()
        return try AdminServer(group, core, listeners, events)
    }

    private init(
        _ group: MultiThreadedEventLoopGroup, _ core: NIOLoopBound<AdminCore>,
        _ listeners: [Listener], _ events: EventLog
    ) throws {
        self.group = group
        self.core = core
        var channels: [any Channel] = []
        for listener in listeners {
            let isLocal = listener.address.port == nil
            let bootstrap = ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 64)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture(withResultOf: {
                        try AdminServer.configure(channel, core.value, isLocal: isLocal)
                    })
                }
            channels.append(try bootstrap.withBoundSocket(listener.socket.descriptor).wait())
            events.info(.adminReady, "address=\(quoted: "\(listener.address)")")
        }
        self.channels = Mutex(channels)
        group.next().scheduleRepeatedTask(initialDelay: .zero, delay: .seconds(1)) { _ in
            core.value.router.tick()
        }
    }

    private static func configure(
        _ channel: any Channel, _ core: AdminCore, isLocal: Bool
    ) throws {
        let state = ConnectionState()
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(HeadGuard(state))
        // Answers are made at once, so they are in order without any help.
        try pipeline.configureHTTPServerPipeline(
            withPipeliningAssistance: false, withErrorHandling: false)
        try pipeline.addHandler(AdminConnection(core, state, isLocal: isLocal))
    }

    public func adopt(_ settings: AdminSettings) -> String? {
        let token: AdminToken?
        do {
            token = try settings.tokenFile.map { path in try AdminToken(file: path) }
        } catch {
            return "\(error)"
        }
        let core = core
        group.next().execute { core.value.router.adopt(settings, token: token) }
        return nil
    }

    public func stop() {
        for channel in channels.withLock({ $0 }) { try? channel.close().wait() }
        try? group.syncShutdownGracefully()
    }
}

/// What all connections share; the event loop's.
final class AdminCore {
    var router: Router
    var connectionCount = 0

    init(_ shared: SharedState, token: AdminToken?) { router = Router(shared, token: token) }
}
