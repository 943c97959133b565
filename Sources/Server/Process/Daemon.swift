// Daemon: the server's life, from binding to exit.
//
// Order matters: signals are held before any thread exists; ports are bound and descriptors
// raised before privileges are dropped; the store opens after that, as the user who will write
// it; and nobody is told "ready" before every worker has its ring. The way down is the same in
// reverse: accept no more, answer what has arrived, commit, leave.

public import Primitives
internal import Store
internal import Synchronization
internal import Uring

/// Runs the server until it is told to stop.
public enum Daemon {
    /// sysexits, as far as they apply.
    enum ExitCode {
        static let usage: Int32 = 64
        static let unavailable: Int32 = 69
        static let software: Int32 = 70
        static let system: Int32 = 71
        static let cannotCreate: Int32 = 73
        static let inputOutput: Int32 = 74
        static let noPermission: Int32 = 77
    }

    /// Why the server cannot begin, or go on: one line for the log.
    struct Failure: Error {
        let line: String
        let exitCode: Int32
        /// The worker that is the cause, if one is.
        var worker: Int?

        /// As fields of the event.
        var fields: String {
            "exit_code=\(exitCode)" + (worker.map { " worker=\($0)" } ?? "")
                + " reason=\(quoted: line)"
        }
    }

    /// Serves until a signal ends it; returns the exit code of the process. Main thread only.
    ///
    /// `admin` starts what serves the admin addresses, if there are any.
    public static func run(
        settings: Settings, events: EventLog, host: Host = Host(), admin: AdminStarter? = nil
    ) -> Int32 {
        SignalWatch.hold()
        do {
            try serve(settings, events, host, admin)
            return 0
        } catch {
            events.error(.serverFailed, error.fields)
            return error.exitCode
        }
    }

    private static func serve(
        _ settings: Settings, _ events: EventLog, _ host: Host, _ admin: AdminStarter?
    ) throws(Failure) {
        let limit = DescriptorLimit.raise(toFit: settings.connectionsMax)
        if !limit.isEnough {
            events.warning(
                .descriptorsShort,
                "granted=\(limit.granted) wanted=\(limit.wanted)"
                    + " connections=\(limit.connectionsMax)")
        }
        if let ring = try makeKernelRing(settings, events) {
            try serve(settings, events, host, admin, ring)
        } else {
            try serve(settings, events, host, admin, try makePollRing())
        }
    }

    private static func serve<Control: SystemRing & ~Copyable>(
        _ settings: Settings, _ events: EventLog, _ host: Host, _ admin: AdminStarter?,
        _ ring: consuming Control
    ) throws(Failure) {
        let access = try openAccess(settings, events)
        let listeners = try listen(settings)
        let adminListeners = try listenForAdmin(settings)
        try becomeUser(settings, events)
        let memory = ServerMemory(
            memoryBytes: settings.memoryBytes, connectionsMax: settings.connectionsMax,
            workers: settings.workers)
        var settings = settings
        let store = try openStore(&settings, memory, events)
        // What it holds lives by the time that the run before has had.
        Clock.beginCache(secondsAhead: store.secondsAhead)
        var server = try Server<Control>(
            settings: settings, events: events, memory: memory, store: store, access: access,
            listeners: listeners, ring: ring, host: host)
        // Before there are threads, too: what the language's own library is refused it dies of.
        try checkHeadroom()
        try server.start()
        try checkHeadroom()
        let pidFile = try writePidFile(settings)
        let port = try server.startAdmin(admin, adminListeners)
        server.announce()
        let failure = server.serve()
        pidFile?.remove()
        port?.stop()
        let isCommitted = server.stop()
        if let failure { throw failure }
        guard isCommitted else {
            throw Failure(
                line: "stopped before everything was committed",
                exitCode: ExitCode.inputOutput)
        }
    }

    // MARK: Steps of the start

    /// The control thread's ring of io_uring; nil if the server is to use epoll.
    private static func makeKernelRing(
        _ settings: Settings, _ events: EventLog
    ) throws(Failure) -> KernelRing? {
        guard settings.engine != .epoll else { return nil }
        var configuration = RingConfiguration.control
        // All rings share the limit of locked memory.
        configuration.ringCount = settings.workers + 1
        do {
            return try KernelRing(configuration: configuration)
        } catch {
            guard settings.engine == .auto, error.allowsEpoll else {
                throw Failure(line: error.explanation, exitCode: ExitCode.system)
            }
            events.warning(.ringFallback, error.fallbackFields)
            return nil
        }
    }

    /// What statistics, histories, lists and operators' requests are made of is allocated while the
    /// server runs, mostly less than this; so is what the system's libraries ask for.
    private static let headroomBytes = 32 << 20

    /// A limit of address space that leaves nothing for what comes later is said now.
    private static func checkHeadroom() throws(Failure) {
        guard !Region.mayMap(byteCount: headroomBytes) else { return }
        throw Failure(
            line: "no memory: \(headroomBytes) bytes were refused, which serving takes",
            exitCode: ExitCode.system)
    }

    private static func makePollRing() throws(Failure) -> PollRing {
        do {
            return try PollRing(configuration: .control)
        } catch {
            throw Failure(line: error.explanation, exitCode: ExitCode.system)
        }
    }

    private static func listen(_ settings: Settings) throws(Failure) -> [Listener] {
        var listeners: [Listener] = []
        let backlog = Int32(clamping: settings.backlog)
        do {
            for given in settings.host.inherited where !given.isAdmin {
                listeners.append(try Listener.adopt(descriptor: given.descriptor))
            }
            for address in settings.listenAddresses {
                let endpoint = Endpoint(host: address.host, port: address.port)
                for resolved in try SocketAddress.resolve(endpoint, defaultPort: address.port) {
                    listeners.append(try Listener.tcp(resolved, backlog: backlog))
                }
            }
            if let path = settings.unixSocketPath {
                // Of the user who will serve: it may connect, and remove the file at the end.
                let account = Account.isRoot ? settings.user.flatMap(Account.init(named:)) : nil
                listeners.append(
                    try Listener.unix(
                        path: path, mode: settings.unixSocketMask,
                        owner: account.map { ($0.userID, $0.groupID) }, backlog: backlog))
            }
        } catch {
            for listener in listeners { listener.close() }
            throw Failure(line: "\(error)", exitCode: ExitCode.system)
        }
        return listeners
    }

    /// Reads who may sign in, while the process may still read everything.
    private static func openAccess(
        _ settings: Settings, _ events: EventLog
    ) throws(Failure) -> Access {
        let access: Access
        do {
            access = try Access(path: settings.credentialsFile)
        } catch {
            throw Failure(
                line: "the credentials \(settings.credentialsFile ?? "") cannot be used:"
                    + " \(error.reason)", exitCode: ExitCode.usage)
        }
        if settings.isGuarded, !access.hasFile { events.warning(.nobodyAdmitted) }
        if access.isExposed {
            events.warning(.credentialsExposed, "path=\(quoted: settings.credentialsFile ?? "")")
        }
        return access
    }

    private static func listenForAdmin(_ settings: Settings) throws(Failure) -> [Listener] {
        var listeners: [Listener] = []
        do {
            for given in settings.host.inherited where given.isAdmin {
                listeners.append(try Listener.adopt(descriptor: given.descriptor))
            }
            for address in settings.admin.addresses {
                let endpoint = Endpoint(host: address.host, port: address.port)
                for resolved in try SocketAddress.resolve(endpoint, defaultPort: address.port) {
                    listeners.append(try Listener.tcp(resolved, backlog: 64))
                }
            }
            let account = Account.isRoot ? settings.user.flatMap(Account.init(named:)) : nil
            for path in settings.admin.unixSocketPaths {
                listeners.append(
                    try Listener.unix(
                        path: path, mode: 0o600,
                        owner: account.map { ($0.userID, $0.groupID) }, backlog: 64))
            }
        } catch {
            for listener in listeners { listener.close() }
            throw Failure(line: "\(error)", exitCode: ExitCode.system)
        }
        return listeners
    }

    private static func becomeUser(
        _ settings: Settings, _ events: EventLog
    ) throws(Failure) {
        guard let user = settings.user else {
            return
        }
        do {
            if try Privileges.drop(to: user) {
                events.info(.userChanged, "user=\(quoted: user)")
            }
        } catch {
            throw Failure(line: "\(error)", exitCode: ExitCode.noPermission)
        }
    }

    /// Where nobody has asked for a store, and there neither is one nor can one be begun, as in the
    /// home of a user who has none, the settings are those of a server without.
    private static func openStore(
        _ settings: inout Settings, _ memory: ServerMemory, _ events: EventLog
    ) throws(Failure) -> TieredStore {
        do {
            return try openStore(settings, memory, events)
        } catch {
            guard case .directory(let path, let reason) = error, let store = settings.store,
                !store.isAskedFor, SmallFile.permissions(path) == nil
            else { throw failure(error) }
            events.warning(.storeAbsent, "path=\(quoted: path) reason=\(quoted: reason)")
        }
        settings.store = nil
        do {
            return try openStore(settings, memory, events)
        } catch {
            throw failure(error)
        }
    }

    private static func openStore(
        _ settings: Settings, _ memory: ServerMemory, _ events: EventLog
    ) throws(StoreError) -> TieredStore {
        let disk = settings.store.map {
            DiskConfiguration(
                directory: $0.directory, sizeBytes: $0.sizeBytes,
                isAcknowledging: $0.durability == .ack,
                flushIntervalMilliseconds: $0.flushIntervalMilliseconds)
        }
        return try TieredStore(
            configuration: StoreConfiguration(
                memoryBytes: memory.storeBytes, workers: settings.workers,
                itemBytesMax: settings.itemBytesMax, disk: disk,
                mayEvict: !settings.refused.contains(.evicting)),
            events: events, now: UInt32(clamping: Clock.unixSeconds()))
    }

    static func failure(_ error: StoreError) -> Failure {
        switch error {
        case .memory(let count):
            Failure(line: "no memory: \(count) bytes were refused", exitCode: ExitCode.system)
        case .inUse(let directory, let processId):
            Failure(
                line: "the store \(directory) is in use by "
                    + (processId.map { "process \($0)" } ?? "another process")
                    + "; --store names another directory",
                exitCode: ExitCode.unavailable)
        case .directory(let directory, let reason):
            Failure(
                line: "the store \(directory) cannot be used: \(reason);"
                    + " --store names another directory",
                exitCode: ExitCode.cannotCreate)
        case .noSpace(let directory, _):
            Failure(
                line: "the store \(directory) cannot be opened: no space left",
                exitCode: ExitCode.cannotCreate)
        case .thread(let code):
            Failure(line: "no thread: \(errorText(code))", exitCode: ExitCode.system)
        }
    }

    private static func writePidFile(_ settings: Settings) throws(Failure) -> PidFile? {
        guard let path = settings.pidFile else { return nil }
        do {
            return try PidFile(writingTo: path)
        } catch {
            throw Failure(line: "\(error)", exitCode: ExitCode.cannotCreate)
        }
    }
}

extension RingError {
    /// As fields of the event.
    var fallbackFields: String {
        "error=\(errnoName.isEmpty ? "none" : errnoName) reason=\(quoted: explanation)"
    }
}
