// LaunchedServers: servers that the comparison starts, checks to be the ones that answer, and
// stops. They also end with this process, however it ends (Primitives/ChildProcess).

internal import Primitives
internal import Synchronization
internal import Uring

/// A server that was started: what to measure, and the process that is measured.
public struct LaunchedServer: Sendable {
    /// With the port or path that was chosen.
    public let target: Target
    public let process: ServerProcess
}

/// Servers that were started together. Any thread may stop them.
public final class LaunchedServers: Sendable {
    /// Longest that a server may take until it answers, and until it has stopped.
    static let startSecondsMax = 30.0
    static let stopSecondsMax = 10.0

    /// A noncopyable value cannot lie in an array; a class around it can.
    private final class Entry: Sendable {
        let process: Mutex<ChildProcess>
        init(_ process: consuming ChildProcess) { self.process = Mutex(process) }
        var isRunning: Bool { process.withLock { $0.isRunning() } }
        var id: Int32 { process.withLock { $0.id } }
    }
    private struct State {
        var entries: [Entry] = []
        var folders: [ScratchFolder] = []
        var isClosed = false
    }
    private let state = Mutex(State())
    /// Held while servers are being stopped, so that whoever else wants them stopped waits.
    private let ending = Mutex(())
    private let cores: [Int]

    /// - Parameter cores: Cores that each server is bound to; none for no binding.
    public init(cores: [Int] = []) { self.cores = cores }

    /// Starts a server and waits until it answers on the target's address.
    ///
    /// - Parameters:
    ///   - command: For the shell. `{host}`, `{port}` and `{path}` become those of the target,
    ///     `{folder}` an empty folder that is removed in the end.
    ///   - target: Port 0 has a free one chosen; `{folder}` in a path is the same folder.
    public func start(_ command: String, for target: Target) throws(LoadFailure) -> LaunchedServer {
        let (command, target) = try fill(command, target)
        try requireSilence(at: target)
        let entry = try launch(command, target)
        let start = Clock.monotonicNanoseconds()
        while entry.isRunning {
            if let found = ServerProcess(listeningOn: target.address),
                (try? ServerFacts.ask(target)) != nil
            {
                guard found.id == entry.id else { throw .impostor(target.name, found.id) }
                return LaunchedServer(target: target, process: found)
            }
            let elapsed = Double(Clock.monotonicNanoseconds() &- start) / 1e9
            guard elapsed < Self.startSecondsMax else {
                throw .notStarted(target.name, "no answer in \(Self.startSecondsMax) s")
            }
            Pause.sleep(nanoseconds: 20_000_000)
        }
        if let other = ServerProcess(listeningOn: target.address) {
            throw .impostor(target.name, other.id)
        }
        throw .notStarted(target.name, "it ended at once: \(command)")
    }

    /// Whether the server that was started is still the one that listens; throws if not.
    public static func check(_ server: LaunchedServer) throws(LoadFailure) {
        guard let found = ServerProcess(listeningOn: server.target.address) else {
            throw .notStarted(server.target.name, "it does not listen any more")
        }
        guard found == server.process else { throw .impostor(server.target.name, found.id) }
    }

    private func requireSilence(at target: Target) throws(LoadFailure) {
        if let other = ServerProcess(listeningOn: target.address) {
            throw .occupied(target.name, other.id)
        }
        // One of another user or name space is seen by its answer alone.
        guard let socket = try? Socket.connected(to: target.address) else { return }
        socket.close()
        throw .occupied(target.name, nil)
    }

    private func launch(_ command: String, _ target: Target) throws(LoadFailure) -> Entry {
        do throws(ProcessError) {
            let entry = Entry(try ChildProcess(shellCommand: command, cores: cores))
            let isClosed = state.withLock { state in
                state.entries.append(entry)
                return state.isClosed
            }
            // Stopped in the meantime, by a signal: it must not live on.
            if isClosed { stop() }
            return entry
        } catch {
            throw .notStarted(target.name, SystemError.text(error.errno))
        }
    }

    // MARK: Places

    private func fill(_ command: String, _ target: Target) throws(LoadFailure)
        -> (String, Target)
    {
        var target = target
        var command = command
        if target.address.port == 0 { target = target.replacing(port: try freePort(target)) }
        if (command + target.address.description).contains("{folder}") {
            let folder = try scratchFolder(target)
            command = command.replacing("{folder}", with: folder)
            target = target.replacing("{folder}", with: folder)
        }
        switch target.address {
        case .unix(let path):
            command = command.replacing("{path}", with: path)
        default:
            command = command.replacing("{port}", with: "\(target.address.port ?? 0)")
                .replacing("{host}", with: target.address.hostText)
        }
        return (command, target)
    }

    private func freePort(_ target: Target) throws(LoadFailure) -> UInt16 {
        do throws(SocketError) {
            let listener = try Listener.tcp(target.address)
            defer { listener.socket.close() }
            return listener.address.port ?? 0
        } catch {
            throw .unreachable(error)
        }
    }

    private func scratchFolder(_ target: Target) throws(LoadFailure) -> String {
        do throws(ProcessError) {
            let folder = try ScratchFolder(prefix: "brim-bench")
            state.withLock { $0.folders.append(folder) }
            return folder.path
        } catch {
            throw .notStarted(target.name, "no folder: \(SystemError.text(error.errno))")
        }
    }

    // MARK: The end

    /// Stops them all, the last one first, and removes their folders.
    public func stop() { ending.withLock { _ in stopAll() } }

    private func stopAll() {
        let (entries, folders) = state.withLock { state in
            defer {
                state.entries = []
                state.folders = []
            }
            return (state.entries, state.folders)
        }
        for entry in entries.reversed() {
            entry.process.withLock { $0.end(secondsMax: Self.stopSecondsMax) }
        }
        for folder in folders { folder.remove() }
    }

    /// As `stop`, and what is started from now on is stopped at once.
    public func close() {
        state.withLock { $0.isClosed = true }
        stop()
    }

    deinit { stop() }
}
