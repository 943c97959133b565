// Interruption: a signal stops the servers that were started before it ends brim-bench.
//
// Where brim-bench is killed without being asked, the servers' guards do it (CPrimitives/child.c).

internal import Glibc
internal import Load
internal import Primitives
internal import Synchronization

enum Interruption {
    private static let threads = ThreadBox()
    private static let hasBegun = Atomic(false)

    /// From now on SIGINT, SIGTERM and SIGHUP stop these servers and end the process with 128
    /// and the signal's number, as a shell would tell it. Call it on the main thread, first.
    static func stop(_ servers: LaunchedServers) {
        SignalWatch.hold()
        let watch = try? Thread(name: "signals") {
            while true {
                let signal = SignalWatch.next()
                guard signal != .user else { continue }
                hasBegun.store(true, ordering: .sequentiallyConsistent)
                servers.close()
                TextFile.writeToStandardError(
                    "brim-bench: ended by a signal (\(signal)); its servers were stopped\n")
                _exit(128 + signal.rawValue)
            }
        }
        // Without the thread the signals stay held: the run is bounded and stops them itself.
        if let watch { threads.append(watch) }
    }

    /// Returns if no signal has come. Otherwise what fails now fails because its servers are being
    /// stopped, and nothing is to be said about it: waits for the end of the process.
    static func waitIfBegun() {
        while hasBegun.load(ordering: .sequentiallyConsistent) {
            Pause.sleep(nanoseconds: 100_000_000)
        }
    }
}
