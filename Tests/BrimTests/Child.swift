// Child: one process, started with posix_spawn and waited for with waitpid.
//
// Foundation's Process waits through a run loop of the calling thread; with many of them at once
// that has been seen to miss the end of a child and wait for ever, so it is not used here.

import Glibc
import Synchronization

/// What a finished process left behind.
struct Child {
    /// The exit code; nil if a signal ended it.
    let exitCode: Int32?
    let output: String
    let errors: String

    /// Runs the program at `path` to its end. With `keepsErrors` false, nobody reads its standard
    /// error: the reading end is closed before it starts.
    static func run(
        _ path: String, _ arguments: [String], environment: [String: String],
        keepsErrors: Bool = true
    ) throws(ChildError) -> Child {
        var output = try Channel()
        var errors = try Channel()
        if !keepsErrors { errors.closeReading() }
        let id = try spawn(
            path, [path] + arguments, environment.map { "\($0.key)=\($0.value)" }.sorted(),
            output: output.writing, errors: errors.writing)
        output.closeWriting()
        errors.closeWriting()
        // Both say less than a pipe holds, so reading one after the other blocks nobody.
        let outputText = output.readAll()
        let errorText = errors.readAll()
        var status: Int32 = 0
        while waitpid(id, &status, 0) < 0 {
            guard errno == EINTR else { throw ChildError(call: "waitpid", code: errno) }
        }
        let exited = status & 0x7F == 0
        return Child(
            exitCode: exited ? status >> 8 & 0xFF : nil, output: outputText, errors: errorText)
    }

    private static func spawn(
        _ path: String, _ arguments: [String], _ environment: [String],
        output: Int32, errors: Int32
    ) throws(ChildError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, errors, 2)
        // The child begins with no signal ignored or blocked, whatever the runner does.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigaddset(&signals, SIGPIPE)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETSIGDEF))
        let argv = arguments.map { strdup($0) } + [nil]
        let envp = environment.map { strdup($0) } + [nil]
        defer { for text in argv + envp { free(text) } }
        var id: pid_t = 0
        let code = spawning.withLock { _ in
            posix_spawn(&id, path, &actions, &attributes, argv, envp)
        }
        guard code == 0 else { throw ChildError(call: "posix_spawn", code: code) }
        return id
    }
}

struct ChildError: Error {
    let call: String
    let code: Int32
}

/// Held while a child starts, and from the making of a pipe until its ends are close-on-exec.
private let spawning = Mutex(())

/// A pipe whose ends no other child inherits.
private struct Channel: ~Copyable {
    private var reading: Int32
    private(set) var writing: Int32

    init() throws(ChildError) {
        var ends: [Int32] = [-1, -1]
        let code: Int32 = spawning.withLock { _ in
            guard pipe(&ends) == 0 else { return errno }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            return 0
        }
        guard code == 0 else { throw ChildError(call: "pipe", code: code) }
        reading = ends[0]
        writing = ends[1]
    }

    mutating func closeReading() {
        if reading >= 0 { close(reading) }
        reading = -1
    }

    mutating func closeWriting() {
        if writing >= 0 { close(writing) }
        writing = -1
    }

    func readAll() -> String {
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 4096)
        while reading >= 0 {
            let count = read(reading, &part, part.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { break }
            bytes += part[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    deinit {
        if reading >= 0 { close(reading) }
        if writing >= 0 { close(writing) }
    }
}
