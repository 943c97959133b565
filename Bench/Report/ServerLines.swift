// ServerLines: who was measured: facts of a server and of the machine, as names and values.
//
// One list for the terminal and for the page, so that neither keeps back what the other tells.

internal import Load

enum ServerLines {
    /// `brim 0.1.0 (as 1.6.45)`, or the version as the server says it.
    static func name(_ outcome: Outcome) -> String {
        let version = outcome.facts.version.isEmpty ? "of no version" : outcome.facts.version
        return outcome.facts.brimVersion.map { "brim \($0) (as \(version))" } ?? version
    }

    /// What is known of the server of some run. Empty values are left out.
    static func facts(_ outcome: Outcome) -> [(name: String, value: String)] {
        let settings = outcome.facts.shownSettings.map { "\($0.name) \($0.value)" }
        let process = outcome.serverProcess.map { process in
            "\(process)" + (outcome.serverCores.isEmpty ? "" : " on core \(outcome.serverCores)")
        }
        return [
            ("version", name(outcome)),
            ("ring", (outcome.facts.ringFeatures ?? "").replacing(",", with: ", ")),
            ("settings", settings.joined(separator: ", ")),
            ("process", process ?? ""),
            ("command", outcome.serverCommand),
        ].filter { !$0.1.isEmpty }
    }

    /// `Linux 6.18.5, AMD EPYC 9R14, 2 cores, 23.9 GiB`.
    static func machine(_ facts: MachineFacts) -> String {
        let gibibytes = NumberText.fixed(Double(facts.memoryBytes) / Double(1 << 30), 1)
        return [
            "Linux \(facts.kernel)", facts.processor, "\(facts.coreCount) cores",
            facts.memoryBytes > 0 ? "\(gibibytes) GiB" : "",
        ].filter { !$0.isEmpty }.joined(separator: ", ")
    }

    /// `brim-bench 0.1.0 on core 1, seed 7`.
    static func generator(_ plan: LoadPlan) -> String {
        let cores = plan.cores.map(String.init).joined(separator: ",")
        return "brim-bench \(GeneratorVersion.number)"
            + (cores.isEmpty ? ", not bound to a core" : " on core \(cores)")
            + ", seed \(plan.seed)"
    }
}
