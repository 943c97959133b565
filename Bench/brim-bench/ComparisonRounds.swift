// ComparisonRounds: carries a comparison out: servers are started, filled, measured in turn.

internal import Load
internal import Report

/// One comparison under way. What fails is given up; what is in the way of all throws.
struct ComparisonRounds {
    private let plan: LoadPlan
    private var targets: [Target]
    private var processes: [ServerProcess?]
    private var started: [LaunchedServer?]
    private var comparison: Comparison
    private let launched: LaunchedServers
    private let isWordy: Bool

    init(plan: LoadPlan, targets: [Target], launched: LaunchedServers, isWordy: Bool) {
        self.plan = plan
        self.targets = targets
        self.launched = launched
        self.isWordy = isWordy
        processes = Array(repeating: nil, count: targets.count)
        started = Array(repeating: nil, count: targets.count)
        comparison = Comparison(names: targets.map(\.name))
    }

    /// A target's process, where the user named it.
    mutating func choose(_ index: Int, _ process: ServerProcess?) { processes[index] = process }

    /// Starts a target's server. Throws if another one answers in its place: nothing that is
    /// measured then would be what it is called.
    mutating func start(_ index: Int, _ command: String) throws(LoadFailure) {
        do throws(LoadFailure) {
            let server = try launched.start(command, for: targets[index])
            started[index] = server
            targets[index] = server.target
            processes[index] = server.process
        } catch {
            try giveUp(index, error)
        }
    }

    /// Sets every key once on each target.
    mutating func fill() {
        for index in targets.indices where comparison.targets[index].failure == nil {
            do throws(LoadFailure) {
                let outcome = try LoadRun.perform(
                    plan.filling(), against: targets[index], server: processes[index])
                say("fill " + ComparisonText.progress(targets[index].name, outcome))
            } catch {
                Interruption.waitIfBegun()
                comparison.giveUp(index, "\(error)")
            }
        }
    }

    /// Visits the targets so many times. Throws if another process has taken the place of a
    /// server that was started.
    mutating func perform(count: Int) throws(LoadFailure) {
        var impostor: LoadFailure?
        let (plan, targets, processes, started) = (plan, targets, processes, started)
        let isWordy = isWordy
        comparison.perform(
            rounds: count,
            run: { (index) throws(LoadFailure) in
                if let impostor { throw impostor }
                if let server = started[index] {
                    do throws(LoadFailure) {
                        try LaunchedServers.check(server)
                    } catch {
                        if case .impostor = error { impostor = error }
                        throw error
                    }
                }
                defer { Interruption.waitIfBegun() }
                return try LoadRun.perform(
                    plan, against: targets[index], server: processes[index])
            },
            progress: { round, index, outcome in
                guard isWordy else { return }
                Output.show(
                    "round \(round + 1)/\(count) "
                        + ComparisonText.progress(targets[index].name, outcome))
            })
        if let impostor { throw impostor }
    }

    /// The result.
    func section(title: String) -> ReportSection {
        ReportSection(
            title: title, plan: plan, comparison: comparison,
            addresses: targets.map { "\($0.address)" })
    }

    private mutating func giveUp(_ index: Int, _ failure: LoadFailure) throws(LoadFailure) {
        Interruption.waitIfBegun()
        switch failure {
        case .impostor, .occupied: throw failure
        default: comparison.giveUp(index, "\(failure)")
        }
    }

    private func say(_ line: String) {
        if isWordy { Output.show(line) }
    }
}
