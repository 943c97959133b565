// LaunchedServers: servers that the comparison starts, checks to be the ones that answer, and
// stops.

internal import Primitives
internal import Uring

/// Servers that were started together; they end with the value at the latest.
public final class LaunchedServers {
    /// Longest that a server may take until it answers, and until it has stopped.
    static let startSecondsMax = 30.0
    static let stopSecondsMax = 10.0

    /// A noncopyable value cannot lie in a dictionary; a class around it can.
    private final class Entry {
        var process: ChildProcess
        init(_ process: consuming ChildProcess) { self.process = process }
    }
    private var entries: [Entry] = []

    public init() {}

    /// Starts a server and waits until it answers on the target's address.
    ///
    /// - Parameter command: For the shell; `taskset -c 0 …` binds it to a core.
    public func start(_ command: String, for target: Target) throws(LoadFailure) -> ServerProcess {
        guard ServerProcess(listeningOn: target.address) == nil else {
            throw .notStarted(target.name, "another process listens on its address")
        }
        let entry: Entry
        do throws(ProcessError) {
            entry = Entry(try ChildProcess(shellCommand: command))
        } catch {
            throw .notStarted(target.name, SystemError.text(error.errno))
        }
        entries.append(entry)
        let start = Clock.monotonicNanoseconds()
        while entry.process.isRunning() {
            if let found = ServerProcess(listeningOn: target.address),
                (try? ServerFacts.ask(target)) != nil
            {
                guard found.id == entry.process.id else {
                    throw .notStarted(target.name, "process \(found.id) answers in its place")
                }
                return found
            }
            let elapsed = Double(Clock.monotonicNanoseconds() &- start) / 1e9
            guard elapsed < Self.startSecondsMax else {
                throw .notStarted(target.name, "no answer in \(Self.startSecondsMax) s")
            }
            Pause.sleep(nanoseconds: 20_000_000)
        }
        throw .notStarted(target.name, "it ended at once: \(command)")
    }

    /// Stops them all, the last one first.
    public func stop() {
        for entry in entries.reversed() { entry.process.end(secondsMax: Self.stopSecondsMax) }
        entries.removeAll()
    }

    deinit { stop() }
}
