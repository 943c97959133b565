// ServerEvents: what the server tells the log about its life. The names are stable:
// docs/operating/log.md lists them with their fields, and a test compares.

internal import Primitives

extension Event {
    // MARK: Start

    /// The limit of descriptors is too low for `-c`. `granted`, `wanted`, `connections` (that
    /// fit).
    static let descriptorsShort = Event("server.descriptors_short")

    /// The process gave up being root. `user`.
    static let userChanged = Event("server.user_changed")

    /// io_uring is refused: the server goes on with epoll. `error` (its symbol), `reason`.
    static let ringFallback = Event("ring.fallback")

    /// How the workers talk to their sockets. `engine` (`io_uring` or `epoll`), `names` (what the
    /// kernel's io_uring offers of what they can use).
    static let ringFeatures = Event("ring.features")

    /// The server serves. `version`, `addresses`, `workers`, `memory_mib`, `connections` (the most
    /// at a time), `store` (its directory, or `none`).
    static let serverReady = Event("server.ready")

    /// Others than the owner may read the file of credentials. `path`.
    static let credentialsExposed = Event("server.credentials_exposed")

    /// SASL is on and there is no file of credentials: nobody can sign in. No fields.
    static let nobodyAdmitted = Event("server.nobody_admitted")

    /// There is no place for a store, and nobody has asked for one: memory alone serves. `path`,
    /// `reason`.
    static let storeAbsent = Event("server.store_absent")

    // MARK: Serving

    /// A hangup signal came, and the file of credentials was read again. No fields.
    static let credentialsRead = Event("server.credentials_read")

    /// A hangup signal came, and the file cannot be used: the old credentials hold. `reason`.
    static let credentialsKept = Event("server.credentials_kept")

    /// There is no descriptor or memory for another connection: none is accepted until one closes.
    /// Said once; `listen_disabled_num` counts. `error` (its symbol), `connections` (open ones).
    static let acceptPaused = Event("server.accept_paused")

    /// A hangup signal came; there is nothing to read again. No fields.
    static let hangupIgnored = Event("server.hangup_ignored")

    /// The settings were read again. `changed` (names of those that hold now), `pending` (how many
    /// wait for a restart).
    static let settingsRead = Event("settings.read")

    /// The settings were to be read again and cannot be: all stays as it was. `reason`.
    static let settingsKept = Event("settings.kept")

    /// A setting has another value now, which needs a restart. `setting`, `from`, `to`.
    static let restartNeeded = Event("settings.restart_needed")

    /// The admin token was read again. No fields.
    static let tokenRead = Event("admin.token_read")

    /// The file of the admin token cannot be used: the old token holds. `reason`.
    static let tokenKept = Event("admin.token_kept")

    /// The service manager kills sooner than workers can tell that they live. `microseconds`.
    static let watchdogShort = Event("server.watchdog_short")

    // MARK: End

    /// A second signal: nobody is waited for any more. No fields.
    static let serverHurried = Event("server.hurried")

    /// A signal orders the server to stop. `signal`, `connections` (open ones).
    static let serverStopping = Event("server.stopping")

    /// A worker had not ended when the last commit had to begin: what it has not answered stays
    /// unanswered. `worker`.
    static let workerUnfinished = Event("server.worker_unfinished")

    /// The listeners could not be closed in order; the way down goes on. `reason`.
    static let stopDisturbed = Event("server.stop_disturbed")

    /// All is done; the process ends. `milliseconds` (since the order to stop, or the failure).
    static let serverStopped = Event("server.stopped")

    /// The server cannot begin, or go on. The last line before the process ends. `exit_code`,
    /// `worker` (where one is the cause), `reason`.
    static let serverFailed = Event("server.failed")
}
