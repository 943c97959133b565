// AdminServer: the thread of the admin port: one event loop, its sockets, a tick each second.
//
// It starts after the workers and ends before them. Whatever happens here, no worker waits for it.

internal import Glibc
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
    private let core: NIOLoopBound<AdminCore>
    private let shared: SharedState
    private let events: EventLog
    private let listeners: [Listener]
    private let doors: Mutex<[Door]>

    /// How much one may ask at a time, and for how long.
    enum Limits {
        static let connectionsMax = 32
        static let headBytesMax = 8 << 10
        static let bodyBytesMax = 64 << 10
        static let headSecondsMax = 5
        static let idleSecondsMax = 60
    }

    /// What accepts at one of the listeners.
    private enum Door {
        case closed, opening, ended
        case open(any Channel)
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
        let server = AdminServer(group, core, shared, listeners, events)
        for index in listeners.indices {
            try server.open(listeners[index].socket.descriptor, index).wait()
            events.info(.adminReady, "address=\(quoted: "\(listeners[index].address)")")
        }
        loop.scheduleRepeatedTask(initialDelay: .zero, delay: .seconds(1)) { _ in
            core.value.router.tick()
            server.openAgain()
        }
        return server
    }

    private init(
        _ group: MultiThreadedEventLoopGroup, _ core: NIOLoopBound<AdminCore>,
        _ shared: SharedState, _ listeners: [Listener], _ events: EventLog
    ) {
        self.group = group
        self.core = core
        self.shared = shared
        self.events = events
        self.listeners = listeners
        doors = Mutex(listeners.map { _ in .closed })
    }

    // MARK: Listening

    /// Accepts at a listener, through a descriptor of its own, which the channel closes.
    private func open(_ socket: Int32, _ index: Int) -> EventLoopFuture<Void> {
        let core = core
        doors.withLock { $0[index] = .opening }
        let descriptor = fcntl(socket, F_DUPFD_CLOEXEC, 0)
        guard descriptor >= 0 else {
            doors.withLock { $0[index] = .closed }
            return group.next().makeFailedFuture(IOError(errnoCode: errno, reason: "fcntl"))
        }
        let isLocal = listeners[index].address.port == nil
        return ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 64)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture(withResultOf: {
                    try AdminServer.configure(channel, core.value, isLocal: isLocal)
                })
            }
            .withBoundSocket(descriptor)
            .map { self.opened($0, index) }
            .flatMapErrorThrowing { error in
                self.doors.withLock { $0[index] = .closed }
                throw error
            }
    }

    private func opened(_ channel: any Channel, _ index: Int) {
        let isEnded = doors.withLock { doors in
            if case .ended = doors[index] { return true }
            doors[index] = .open(channel)
            return false
        }
        if isEnded { channel.close(promise: nil) }
        channel.closeFuture.whenComplete { _ in
            self.doors.withLock { doors in
                if case .open = doors[index] { doors[index] = .closed }
            }
        }
    }

    /// Once a second: what has stopped listening listens anew.
    private func openAgain() {
        let closed = doors.withLock { doors in
            doors.indices.filter { if case .closed = doors[$0] { true } else { false } }
        }
        for index in closed {
            let address = "address=\(quoted: "\(listeners[index].address)")"
            let socket = listeners[index].socket.descriptor
            guard listen(socket, 64) == 0 else {
                let reason = "reason=\(quoted: errorText(errno))"
                events.error(.adminLost, "\(address) \(reason)")
                continue
            }
            open(socket, index).whenComplete { result in
                switch result {
                case .success:
                    self.shared.adminRestarts += 1
                    self.events.warning(.adminRestarted, address)
                case .failure(let error):
                    self.events.error(.adminLost, "\(address) reason=\(quoted: "\(error)")")
                }
            }
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
        let core = core
        let token: AdminToken?
        do {
            token = try settings.tokenFile.map { path in try AdminToken(file: path) }
        } catch {
            // Whoever had the old one has it still; the rest holds from now on.
            group.next().execute { core.value.router.adopt(settings) }
            return "\(error)"
        }
        group.next().execute {
            core.value.router.adopt(settings)
            core.value.router.adopt(token)
        }
        return nil
    }

    public func stop() {
        let open = doors.withLock { doors in
            let open = doors.compactMap { if case .open(let channel) = $0 { channel } else { nil } }
            doors = doors.map { _ in .ended }
            return open
        }
        for channel in open { try? channel.close().wait() }
        try? group.syncShutdownGracefully()
        for listener in listeners { listener.close() }
    }
}

/// What all connections share; the event loop's.
final class AdminCore {
    var router: Router
    var connectionCount = 0

    init(_ shared: SharedState, token: AdminToken?) { router = Router(shared, token: token) }
}
