// Child: one process, started with posix_spawn and waited for with waitpid, for a bounded time.
//
// Foundation's Process waits through a run loop of the calling thread; with many of them at once
// that has been seen to miss the end of a child and wait for ever, so it is not used here.

import Glibc
import Synchronization

/// What a finished process left behind.
public struct Child {
    /// The exit code; nil if a signal ended it.
    public let exitCode: Int32?
    public let output: String
    public let errors: String
    /// Whether it was killed because its time was over.
    public let wasTooLong: Bool

    /// Runs the program at `path` to its end, or kills it after `secondsMax`. With `keepsErrors`
    /// false, nobody reads its standard error: the reading end is closed before it starts.
    public static func run(
        _ path: String, _ arguments: [String], environment: [String: String],
        keepsErrors: Bool = true, secondsMax: Int = 60
    ) throws(ChildError) -> Child {
        let output = try Channel()
        let errors = try Channel()
        if !keepsErrors { errors.closeReading() }
        let id = try spawn(
            path, [path] + arguments, environment.map { "\($0.key)=\($0.value)" }.sorted(),
            output: output.writing, errors: errors.writing)
        output.closeWriting()
        errors.closeWriting()
        let isDone = collect([output, errors], until: now() + secondsMax * 1000)
        if !isDone { kill(id, SIGKILL) }
        var status: Int32 = 0
        while waitpid(id, &status, 0) < 0 {
            guard errno == EINTR else { throw ChildError(call: "waitpid", code: errno) }
        }
        let exited = status & 0x7F == 0
        return Child(
            exitCode: exited ? status >> 8 & 0xFF : nil, output: output.text, errors: errors.text,
            wasTooLong: !isDone)
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

    /// Reads until all are closed; false if that took too long.
    private static func collect(_ channels: [Channel], until deadline: Int) -> Bool {
        while true {
            let open = channels.filter { $0.reading >= 0 }
            if open.isEmpty { return true }
            let left = deadline - now()
            if left <= 0 { return false }
            var waiting = open.map { pollfd(fd: $0.reading, events: Int16(POLLIN), revents: 0) }
            guard poll(&waiting, nfds_t(waiting.count), Int32(left)) > 0 else { continue }
            for (channel, state) in zip(open, waiting) where state.revents != 0 {
                channel.readSome()
            }
        }
    }

    private static func now() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    }
}

public struct ChildError: Error {
    public let call: String
    public let code: Int32
}

/// Held while a child starts, and from the making of a pipe until its ends are close-on-exec.
private let spawning = Mutex(())

/// A pipe whose ends no other child inherits, and what was read from it.
private final class Channel {
    private(set) var reading: Int32
    private(set) var writing: Int32
    private var bytes: [UInt8] = []

    var text: String { String(decoding: bytes, as: UTF8.self) }

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

    func closeReading() {
        if reading >= 0 { close(reading) }
        reading = -1
    }

    func closeWriting() {
        if writing >= 0 { close(writing) }
        writing = -1
    }

    /// One read, which does not wait if the end was polled; at the end of the file, closes.
    func readSome() {
        var part = [UInt8](repeating: 0, count: 1 << 14)
        let count = read(reading, &part, part.count)
        if count < 0 && errno == EINTR { return }
        guard count > 0 else { return closeReading() }
        bytes += part[..<count]
    }

    deinit {
        closeReading()
        closeWriting()
    }
}
