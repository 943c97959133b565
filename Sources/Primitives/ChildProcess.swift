// ChildProcess: a program started by this one that ends with it, however this one ends.
//
// A fence around the C part, for tools that start what they measure. The server never starts a
// process.

internal import CPrimitives
internal import Glibc

/// A running program. It ends with the value at the latest, or with this process.
public struct ChildProcess: ~Copyable, Sendable {
    private var child = cprim_child()
    private var isStopped = false

    /// The system's number for it, its session and its group.
    public var id: Int32 { child.id }

    /// Runs a command line of the shell in the shell's place, so that `id` is the program's.
    /// Standard input is empty, standard output dropped, standard error shared.
    ///
    /// - Parameter cores: Cores that it may run on, by number; none for all of this process's.
    /// Throws the errno.
    public init(shellCommand: String, cores: [Int] = []) throws(ProcessError) {
        let cores = cores.map { Int32(clamping: $0) }
        var child = cprim_child()
        // SAFETY: the text and the list are lent for the call, which reads `count` numbers.
        let code = unsafe cprim_child_start(&child, "exec " + shellCommand, cores, cores.count)
        guard code == 0 else { throw ProcessError(errno: code) }
        self.child = child
    }

    /// Whether it has not ended yet.
    public func isRunning() -> Bool {
        guard !isStopped else { return false }
        var child = child
        // SAFETY: a local, for the call.
        return unsafe cprim_child_has_ended(&child) == 0
    }

    /// Asks it to end, waits at most so long, then ends it.
    public mutating func end(secondsMax: Double) {
        guard !isStopped else { return }
        isStopped = true
        // SAFETY: ours, for the call.
        unsafe cprim_child_stop(&child, Int32(clamping: Int(secondsMax * 1000)))
    }

    deinit {
        guard !isStopped else { return }
        var child = child
        // SAFETY: a local, for the call.
        unsafe cprim_child_stop(&child, 0)
    }
}

/// A program that could not be started: the errno.
public struct ProcessError: Error, Equatable {
    public var errno: Int32
    public init(errno: Int32) { self.errno = errno }
}
