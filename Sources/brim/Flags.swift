// Flags: the table of the flags, and the text of `brim -h`, the manual page and the completion.
//
// What is given is read by Arguments and GivenFlags. A table of our own instead of an argument
// parser's declarations: those bring a library of dates and files with them, which more than
// doubles the executable and what the system's loader does at each start.

/// One flag, as it is told of.
struct Flag {
    let name: String
    let short: String
    /// What its value is called; empty for a switch.
    let value: String
    let text: String

    init(_ name: String, short: String = "", value: String = "", _ text: String) {
        self.name = name
        self.short = short
        self.value = value
        self.text = text
    }

    /// `-p, --port <port>`.
    var heading: String {
        (short.isEmpty ? "" : "-\(short), ") + "--\(name)" + (value.isEmpty ? "" : " <\(value)>")
    }
}

enum Flags {
    private static let columns = 79
    private static let margin = 26

    static var helpText: String {
        var lines = wrapped(
            "OVERVIEW: An edge cache server that speaks the memcached protocol and survives"
                + " restarts.")
        lines.append("")
        lines += wrapped(
            "Sizes are in bytes, or end in k, m or g. Flags go before BRIM_… variables,"
                + " which go before the file. All of it is explained in docs/operating.md.")
        lines += ["", "USAGE: brim [<flags>]", "", "OPTIONS:"]
        for flag in all {
            let heading = "  \(flag.heading)"
            let text = wrapped(flag.text, margin: margin)
            if heading.count < margin, let first = text.first {
                lines.append(heading + first.dropFirst(heading.count))
                lines += text.dropFirst()
            } else {
                lines.append(heading)
                lines += text
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Lines of at most `columns` letters, of which the first `margin` are blank.
    private static func wrapped(_ text: String, margin: Int = 0) -> [String] {
        var lines: [String] = []
        var line = ""
        for word in text.split(separator: " ") {
            if !line.isEmpty, margin + line.count + 1 + word.count > columns {
                lines.append(line)
                line = ""
            }
            line += (line.isEmpty ? "" : " ") + word
        }
        lines.append(line)
        return lines.map { String(repeating: " ", count: margin) + $0 }
    }

    /// All that are told of: `debug-clock` is for tests.
    static let all: [Flag] = [
        Flag("port", short: "p", value: "port", "TCP port; 0: none. (default: 11211)"),
        Flag(
            "listen", short: "l", value: "address",
            "Address to listen on: host, host:port, [v6]:port; several with commas"
                + " or by repeating. (default: 127.0.0.1)"),
        Flag(
            "unix-socket", short: "s", value: "path",
            "Unix socket; no TCP unless -l is given too."),
        Flag(
            "unix-mask", short: "a", value: "octal",
            "Permissions of the unix socket. (default: 700)"),
        Flag(
            "memory-limit", short: "m", value: "size",
            "Memory of the process, in MiB unless it ends in k, m or g, or in %"
                + " (of the container's or the machine's). (default: 256)"),
        Flag(
            "conn-limit", short: "c", value: "count",
            "Connections at the same time. (default: 1024)"),
        Flag("threads", short: "t", value: "count", "Worker threads. (default: cores, at most 4)"),
        Flag(
            "max-item-size", short: "I", value: "size",
            "The largest item, 1k to 512m. (default: 1m)"),
        Flag(
            "listen-backlog", short: "b", value: "count",
            "Connections waiting for accept. (default: 1024)"),
        Flag(
            "max-reqs-per-event", short: "R", value: "count",
            "Requests of one connection before the others' turn. (default: 20)"),
        Flag("user", short: "u", value: "name", "User to become, if started as root."),
        Flag("pidfile", short: "P", value: "path", "File for the process number."),
        Flag("udp-port", short: "U", value: "port", "UDP port: only 0, there is no UDP."),
        Flag("verbose", short: "v", "Say more; -vv: still more."),
        Flag(
            "stat-prefix", short: "D", value: "character",
            "Where prefixes of keys end for stats detail, which is on then."
                + " (default: :)"),
        Flag("disable-cas", short: "C", "Keep no CAS."),
        Flag("daemon", short: "d", "Go to the background."),
        Flag("enable-shutdown", short: "A", "Obey the shutdown command."),
        Flag("disable-flush-all", short: "F", "Refuse the flush_all command."),
        Flag("disable-dumping", short: "X", "Refuse commands that list keys."),
        Flag("disable-watch", short: "W", "Refuse the watch command."),
        Flag(
            "disable-evictions", short: "M",
            "Refuse what has no room instead of evicting; with --no-store."),
        Flag("protocol", short: "B", value: "name", "auto, ascii or binary. (default: auto)"),
        Flag(
            "auth-file", short: "Y", value: "path",
            "File of user:password lines; clients must sign in."),
        Flag("enable-sasl", short: "S", "Binary clients must sign in by SASL (PLAIN)."),
        Flag(
            "store", value: "directory",
            "Directory of the store. (default: $STATE_DIRECTORY, else"
                + " $XDG_STATE_HOME/brim, else ~/.local/state/brim)"),
        Flag("no-store", "Serve from memory alone."),
        Flag("store-size", value: "size", "Size of the store. (default: 4g)"),
        Flag(
            "durability", value: "mode",
            "interval: answer writes at once; ack: once they are on disk."
                + " (default: interval)"),
        Flag("flush-interval", value: "ms", "Milliseconds between commits. (default: 100)"),
        Flag(
            "idle-timeout", value: "seconds",
            "Close connections idle for so long; 0: never. (default: 0)"),
        Flag(
            "win-timeout", value: "seconds",
            "Let somebody else renew what a client won so long ago; 0: never."
                + " (default: 0)"),
        Flag(
            "engine", value: "engine",
            "auto: io_uring, or epoll where that is refused; io_uring; epoll."
                + " (default: auto)"),
        Flag(
            "admin-listen", value: "address",
            "Address for metrics, health and the live page, over HTTP: host:port,"
                + " [v6]:port or unix:/path; several as with -l. (default: none)"),
        Flag("admin-token-file", value: "path", "File of the token that the admin port asks for."),
        Flag(
            "admin-hosts", value: "names",
            "Names by which browsers may call the admin port, with commas."),
        Flag("admin-metrics-auth", "Ask for the token on /metrics, too."),
        Flag(
            "drain-delay", value: "seconds",
            "At a stop, serve on for so long while /readyz says no. (default: 0)"),
        Flag(
            "drain-timeout", value: "seconds",
            "At a stop, wait so long for a peer in the middle of a request."
                + " (default: 0.3)"),
        Flag("log-format", value: "format", "text, json or logfmt. (default: text)"),
        Flag("config", value: "file", "File of settings; flags and BRIM_… variables go before it."),
        Flag("check-config", "Print the settings in effect and exit."),
        Flag(
            "probe",
            "Ask a running server whether it is ready, as these settings name it;"
                + " exit 0 or 1."),
        Flag("version", short: "V", "Print the version and exit."),
        Flag("help", short: "h", "Show help information."),
    ]
}
