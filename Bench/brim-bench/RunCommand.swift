// RunCommand: `brim-bench run`: one load against one server.

internal import ArgumentParser
internal import Load

struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Loads one server and says how it did.")

    @OptionGroup var single: SingleTarget
    @OptionGroup(title: "Load") var options: PlanOptions

    func run() throws {
        try single.perform(try options.plan(), title: "Run")
    }
}
