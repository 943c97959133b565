// Command: what `brim` does from its first argument to its exit code.

internal import Admin
internal import Glibc
internal import Primitives
internal import Server

/// Why the command line, the environment or the file cannot be used: one line.
struct UsageError: Error, CustomStringConvertible {
    let line: String
    init(_ line: String) { self.line = line }
    var description: String { line }
}

/// What a process was started with; the settings are made of it, and of the file, each time they
/// are asked for.
struct CommandOrigin: Sendable {
    let arguments: [String]
    let environment: [String: String]
    let processID = getpid()
    /// Later the process may be another user's.
    let isRoot: Bool

    init(
        _ arguments: [String], _ environment: [String: String], isRoot: Bool = Account.isRoot
    ) {
        self.arguments = arguments
        self.environment = environment
        self.isRoot = isRoot
    }

    func plan() throws(UsageError) -> Plan {
        let expansion = try Arguments.expand(arguments)
        let layers = try Layers(
            flags: GivenFlags(expansion.arguments), environment: environment)
        var plan = try Resolution(
            layers: layers, environment: environment, isRoot: isRoot,
            inherited: try Activation.sockets(environment, processID: processID)
        ).plan()
        plan.warnings.insert(contentsOf: expansion.warnings + layers.warnings, at: 0)
        plan.file = layers.file
        return plan
    }

    /// The same with what stands in the file by now. What is no file is not opened: a pipe, which a
    /// start may well be given, would be waited for, or be empty now.
    func planAgain(_ file: String) throws(UsageError) -> Plan {
        guard SmallFile.isRegular(file) else { throw UsageError("\(file) is no regular file") }
        return try plan()
    }

    /// What this process would do if nobody had chosen anything.
    func planByDefault() throws(UsageError) -> Plan {
        let unchosen = environment.filter { !$0.key.hasPrefix("BRIM_") }
        return try CommandOrigin([], unchosen, isRoot: isRoot).plan()
    }
}

enum Command {
    /// sysexits: a command used wrongly.
    static let usageExitCode: Int32 = 64

    /// Runs the command; returns the exit code of the process.
    static func run(arguments: [String], environment: [String: String]) -> Int32 {
        do {
            let flags = GivenFlags(try Arguments.expand(arguments).arguments)
            if flags.wantsHelp {
                print(Flags.helpText)
                return 0
            }
            if flags.wantsVersion {
                print("brim \(Version.number)")
                return 0
            }
            let origin = CommandOrigin(arguments, environment)
            let plan = try origin.plan()
            if flags.probes { return Probe.run(plan.settings) }
            return flags.checkConfig ? show(plan) : serve(plan, origin)
        } catch {
            complain(error.line)
            return usageExitCode
        }
    }

    private static func show(_ plan: Plan) -> Int32 {
        for warning in plan.warnings { complain("warning: \(warning)") }
        for line in plan.settings.lines { print(line) }
        return 0
    }

    private static func serve(_ plan: Plan, _ origin: CommandOrigin) -> Int32 {
        var host = Host()
        host.manager = ServiceManager(environment: origin.environment, processID: getpid())
        for name in Activation.variables { EnvironmentVariables.remove(name) }
        if plan.settings.host.isDaemon {
            // Before there is any thread. As with memcached, what the log says is lost unless -v
            // is given.
            guard daemon(1, plan.settings.verbosity > 0 ? 1 : 0) == 0 else {
                complain("-d: cannot go to the background: \(errorText(errno))")
                return 71
            }
        }
        let output = LogOutput(
            plan.settings.host.logFormat, journal: origin.environment["JOURNAL_STREAM"])
        let events = EventLog.onStandardError(output, verbosity: plan.settings.verbosity)
        for warning in plan.warnings {
            events.warning(.settingsWarning, "text=\(quoted: warning)")
        }
        if let file = plan.file {
            host.settingsAgain = { try origin.planAgain(file).settings }
        }
        host.defaults = { try origin.planByDefault().settings }
        host.adopt = { output.choose($0.host.logFormat) }
        host.tick = { output.tick() }
        let code = Daemon.run(settings: plan.settings, events: events, host: host) {
            try AdminServer.start(listeners: $0, shared: $1, events: $2)
        }
        output.tick(all: true)
        return code
    }

    private static func complain(_ text: String) {
        let line = text.split(whereSeparator: \.isNewline).joined(separator: " ")
        TextFile.writeToStandardError("brim: \(line)\n")
    }
}
