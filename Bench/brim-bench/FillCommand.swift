// FillCommand: `brim-bench fill`: every key set once, in order.

internal import ArgumentParser
internal import Load

struct FillCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fill", abstract: "Sets every key once; the mix and the length are ignored.")

    @OptionGroup var single: SingleTarget
    @OptionGroup(title: "Load") var options: PlanOptions

    func run() throws {
        let plan = try options.plan().filling()
        try plan.check()
        try single.perform(plan, title: "Fill")
    }
}
