// RunCommand: `brim-bench run`: one load against one server.

internal import ArgumentParser
internal import Load

struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Loads one server and says how it did.")

    @Argument(help: "HOST:PORT or unix:PATH")
    var target: String

    @OptionGroup var options: PlanOptions

    @Option(help: "The server's process; otherwise whoever listens on the target's port.")
    var serverPid: Int32?

    @Flag(help: "One object of JSON on standard output.")
    var json = false

    func run() throws {
        let target = try Target(parsing: target)
        let plan = try options.plan()
        let outcome = try LoadRun.perform(
            plan, against: target, server: try ServerChoice.process(serverPid))
        Output.show(
            json
                ? [OutcomeObject.object(outcome, plan, target).text]
                : OutcomeText.lines(outcome, plan, target))
    }
}

/// A server's process by the number that the user gave.
enum ServerChoice {
    static func process(_ id: Int32?) throws(ArgumentFault) -> ServerProcess? {
        guard let id else { return nil }
        guard let process = ServerProcess(id: id) else {
            throw ArgumentFault("server-pid: there is no process \(id)")
        }
        return process
    }
}
