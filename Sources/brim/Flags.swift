// Flags: the flags as the argument parser declares them, for the text of `brim -h`.
//
// What is given is read by Arguments and GivenFlags. Values stay text there: what they mean, and
// whether they can be, is decided in one place for flags, environment and file alike (Resolution).

internal import ArgumentParser

struct Flags: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "brim",
        abstract: "An edge cache server that speaks the memcached protocol and survives restarts.",
        usage: "brim [<flags>]",
        discussion: "Sizes are in bytes, or end in k, m or g. Flags go before BRIM_… variables,"
            + " which go before the file. All of it is explained in docs/operating.md.")

    @Option(
        name: [.customShort("p"), .customLong("port")],
        help: ArgumentHelp("TCP port; 0: none. (default: 11211)", valueName: "port"))
    var port: String?

    @Option(
        name: [.customShort("l"), .customLong("listen")],
        help: ArgumentHelp(
            "Address to listen on: host, host:port, [v6]:port; several with commas or by"
                + " repeating. (default: 127.0.0.1)", valueName: "address"))
    var listen: [String] = []

    @Option(
        name: [.customShort("s"), .customLong("unix-socket")],
        help: ArgumentHelp("Unix socket; no TCP unless -l is given too.", valueName: "path"))
    var unixSocket: String?

    @Option(
        name: [.customShort("a"), .customLong("unix-mask")],
        help: ArgumentHelp("Permissions of the unix socket. (default: 700)", valueName: "octal"))
    var unixMask: String?

    @Option(
        name: [.customShort("m"), .customLong("memory-limit")],
        help: ArgumentHelp(
            "Memory of the process, in MiB unless it ends in k, m or g, or in % (of the"
                + " container's or the machine's). (default: 256)",
            valueName: "size"))
    var memoryLimit: String?

    @Option(
        name: [.customShort("c"), .customLong("conn-limit")],
        help: ArgumentHelp("Connections at the same time. (default: 1024)", valueName: "count"))
    var connLimit: String?

    @Option(
        name: [.customShort("t"), .customLong("threads")],
        help: ArgumentHelp("Worker threads. (default: cores, at most 4)", valueName: "count"))
    var threads: String?

    @Option(
        name: [.customShort("I"), .customLong("max-item-size")],
        help: ArgumentHelp("The largest item, 1k to 512m. (default: 1m)", valueName: "size"))
    var maxItemSize: String?

    @Option(
        name: [.customShort("b"), .customLong("listen-backlog")],
        help: ArgumentHelp("Connections waiting for accept. (default: 1024)", valueName: "count"))
    var listenBacklog: String?

    @Option(
        name: [.customShort("R"), .customLong("max-reqs-per-event")],
        help: ArgumentHelp(
            "Requests of one connection before the others' turn. (default: 20)",
            valueName: "count"))
    var maxReqsPerEvent: String?

    @Option(
        name: [.customShort("u"), .customLong("user")],
        help: ArgumentHelp("User to become, if started as root.", valueName: "name"))
    var user: String?

    @Option(
        name: [.customShort("P"), .customLong("pidfile")],
        help: ArgumentHelp("File for the process number.", valueName: "path"))
    var pidfile: String?

    @Option(
        name: [.customShort("U"), .customLong("udp-port")],
        help: ArgumentHelp("UDP port: only 0, there is no UDP.", valueName: "port"))
    var udpPort: String?

    @Flag(
        name: [.customShort("v"), .customLong("verbose")],
        help: "Say more; -vv: still more.")
    var verbose: Int

    @Option(
        name: [.customShort("D"), .customLong("stat-prefix")],
        help: ArgumentHelp(
            "Where prefixes of keys end for stats detail, which is on then. (default: :)",
            valueName: "character"))
    var statPrefix: String?

    @Flag(name: [.customShort("C"), .customLong("disable-cas")], help: "Keep no CAS.")
    var disableCas = false

    @Flag(name: [.customShort("d"), .customLong("daemon")], help: "Go to the background.")
    var daemon = false

    @Flag(
        name: [.customShort("A"), .customLong("enable-shutdown")],
        help: "Obey the shutdown command.")
    var enableShutdown = false

    /// Of a memcached for debugging: tests need not wait for what expires.
    @Flag(help: .hidden)
    var debugClock = false

    @Flag(
        name: [.customShort("F"), .customLong("disable-flush-all")],
        help: "Refuse the flush_all command.")
    var disableFlushAll = false

    @Flag(
        name: [.customShort("X"), .customLong("disable-dumping")],
        help: "Refuse commands that list keys.")
    var disableDumping = false

    @Flag(
        name: [.customShort("W"), .customLong("disable-watch")],
        help: "Refuse the watch command.")
    var disableWatch = false

    @Flag(
        name: [.customShort("M"), .customLong("disable-evictions")],
        help: "Refuse what has no room instead of evicting; with --no-store.")
    var disableEvictions = false

    @Option(
        name: [.customShort("B"), .customLong("protocol")],
        help: ArgumentHelp("auto, ascii or binary. (default: auto)", valueName: "name"))
    var `protocol`: String?

    @Option(
        name: [.customShort("Y"), .customLong("auth-file")],
        help: ArgumentHelp(
            "File of user:password lines; clients must sign in.", valueName: "path"))
    var authFile: String?

    @Flag(
        name: [.customShort("S"), .customLong("enable-sasl")],
        help: "Binary clients must sign in by SASL (PLAIN).")
    var enableSasl = false

    @Option(
        help: ArgumentHelp(
            "Directory of the store. (default: $STATE_DIRECTORY, else $XDG_STATE_HOME/brim, else"
                + " ~/.local/state/brim)", valueName: "directory"))
    var store: String?

    @Flag(help: "Serve from memory alone.")
    var noStore = false

    @Option(help: ArgumentHelp("Size of the store. (default: 4g)", valueName: "size"))
    var storeSize: String?

    @Option(
        help: ArgumentHelp(
            "interval: answer writes at once; ack: once they are on disk. (default: interval)",
            valueName: "mode"))
    var durability: String?

    @Option(help: ArgumentHelp("Milliseconds between commits. (default: 100)", valueName: "ms"))
    var flushInterval: String?

    @Option(
        help: ArgumentHelp(
            "Close connections idle for so long; 0: never. (default: 0)", valueName: "seconds"))
    var idleTimeout: String?

    @Option(
        help: ArgumentHelp(
            "Let somebody else renew what a client won so long ago; 0: never. (default: 0)",
            valueName: "seconds"))
    var winTimeout: String?

    @Option(
        help: ArgumentHelp(
            "auto: io_uring, or epoll where that is refused; io_uring; epoll. (default: auto)",
            valueName: "engine"))
    var engine: String?

    @Option(
        help: ArgumentHelp(
            "Address for metrics, health and the live page, over HTTP: host:port, [v6]:port or"
                + " unix:/path; several as with -l. (default: none)", valueName: "address"))
    var adminListen: [String] = []

    @Option(
        help: ArgumentHelp(
            "File of the token that the admin port asks for.", valueName: "path"))
    var adminTokenFile: String?

    @Option(
        help: ArgumentHelp(
            "Names by which browsers may call the admin port, with commas.", valueName: "names"))
    var adminHosts: String?

    @Flag(help: "Ask for the token on /metrics, too.")
    var adminMetricsAuth = false

    @Option(
        help: ArgumentHelp(
            "At a stop, serve on for so long while /readyz says no. (default: 0)",
            valueName: "seconds"))
    var drainDelay: String?

    @Option(
        help: ArgumentHelp(
            "At a stop, wait so long for a peer in the middle of a request. (default: 0.3)",
            valueName: "seconds"))
    var drainTimeout: String?

    @Option(
        help: ArgumentHelp("text, json or logfmt. (default: text)", valueName: "format"))
    var logFormat: String?

    @Option(
        help: ArgumentHelp(
            "File of settings; flags and BRIM_… variables go before it.", valueName: "file"))
    var config: String?

    @Flag(help: "Print the settings in effect and exit.")
    var checkConfig = false

    @Flag(help: "Ask a running server whether it is ready, as these settings name it; exit 0 or 1.")
    var probe = false

    @Flag(name: [.customShort("V"), .customLong("version")], help: "Print the version and exit.")
    var version = false

    static var helpText: String { helpMessage() }
}
