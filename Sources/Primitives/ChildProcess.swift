// ChildProcess: a program started by this one, ended by its number.
//
// A fence around posix_spawn, kill and waitpid, for tools that start what they measure. The
// server never starts a process.

internal import Glibc

/// A running program. It ends with the value at the latest.
public struct ChildProcess: ~Copyable {
    public let id: Int32
    private var isReaped = false

    /// Runs a command line of the shell in the shell's place, so that `id` is the program's.
    /// Standard input is empty, standard output dropped, standard error shared.
    /// Throws the errno.
    public init(shellCommand: String) throws(ProcessError) {
        var id: pid_t = 0
        var actions = unsafe posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        var signals = sigset_t()
        // SAFETY: initialised, used and destroyed here; strings are lent for the call.
        unsafe posix_spawn_file_actions_init(&actions)
        unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        unsafe posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        // It begins with no signal ignored, whatever this process ignores.
        unsafe posix_spawnattr_init(&attributes)
        unsafe sigemptyset(&signals)
        unsafe sigaddset(&signals, SIGPIPE)
        unsafe posix_spawnattr_setsigdefault(&attributes, &signals)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF))
        let words = ["/bin/sh", "-c", "exec " + shellCommand]
        // SAFETY: copies, freed below; the list ends with null.
        let arguments = unsafe words.map { unsafe strdup($0) } + [nil]
        let code = unsafe posix_spawn(
            &id, "/bin/sh", &actions, &attributes, arguments, environ)
        for unsafe argument in unsafe arguments { unsafe free(argument) }
        unsafe posix_spawn_file_actions_destroy(&actions)
        unsafe posix_spawnattr_destroy(&attributes)
        guard code == 0 else { throw ProcessError(errno: code) }
        self.id = id
    }

    /// Whether it has not ended yet.
    public mutating func isRunning() -> Bool {
        guard !isReaped else { return false }
        isReaped = waitpid(id, nil, WNOHANG) != 0
        return !isReaped
    }

    /// Asks it to end, waits at most so long, then ends it.
    public mutating func end(secondsMax: Double) {
        guard isRunning() else { return }
        kill(id, SIGTERM)
        var waited = 0.0
        while waited < secondsMax, isRunning() {
            usleep(10_000)
            waited += 0.01
        }
        finish()
    }

    private mutating func finish() {
        guard isRunning() else { return }
        kill(id, SIGKILL)
        while waitpid(id, nil, 0) < 0, errno == EINTR {}
        isReaped = true
    }

    deinit {
        guard !isReaped else { return }
        kill(id, SIGKILL)
        while waitpid(id, nil, 0) < 0, errno == EINTR {}
    }
}

/// A program that could not be started: the errno.
public struct ProcessError: Error, Equatable {
    public var errno: Int32
    public init(errno: Int32) { self.errno = errno }
}
