// Reload: settings read again while the server runs: the whole file, or nothing of it.
//
// What can change at once does; what needs a restart is said, setting by setting. The files of
// credentials and of the admin token are read as well; each of them stands by itself.

internal import Glibc
internal import Primitives
internal import Store
internal import Synchronization

/// How a reload ended.
public enum ReloadOutcome: Sendable, Equatable {
    /// There is nothing that could be read again.
    case nothing
    /// The settings cannot be: all stays as it was.
    case refused(String)
    /// Names of settings that hold now, and of those that wait for a restart.
    case done(changed: [String], pending: [String])
}

/// What is known of the reloads so far.
struct ReloadFigures: Sendable {
    var successes: UInt64 = 0
    var failures: UInt64 = 0
    var isLastGood = true
    var lastGoodSeconds: UInt64 = 0
    var pendingCount: UInt64 = 0
}

/// Reads the settings again. Any thread; one at a time.
final class Reloader: Sendable {
    private struct State {
        var inEffect: Settings
        var admin: (any AdminPort)?
    }

    private let host: Host
    private let shared: SharedState
    private let events: EventLog
    private let store: TieredStore
    private let state: Mutex<State>

    init(host: Host, shared: SharedState, events: EventLog, store: TieredStore) {
        self.host = host
        self.shared = shared
        self.events = events
        self.store = store
        state = Mutex(State(inEffect: shared.settings, admin: nil))
    }

    /// The port whose files are read again, too.
    func attach(_ admin: (any AdminPort)?) { state.withLock { $0.admin = admin } }

    /// The settings as the start and the reloads have made them.
    var inEffect: Settings { state.withLock { $0.inEffect } }

    func reload() -> ReloadOutcome {
        state.withLock { state in
            host.manager.reloading()
            defer { host.manager.readyAgain() }
            return reload(&state)
        }
    }

    private func reload(_ state: inout State) -> ReloadOutcome {
        let hasFiles = shared.access.hasFile || state.inEffect.admin.tokenFile != nil
        guard host.settingsAgain != nil || hasFiles else {
            events.info(.hangupIgnored)
            return .nothing
        }
        var wanted = state.inEffect
        do {
            if let again = host.settingsAgain { wanted = try again() }
        } catch {
            events.error(.settingsKept, "reason=\(quoted: "\(error)")")
            shared.reloads.withLock {
                $0.failures += 1
                $0.isLastGood = false
            }
            return .refused("\(error)")
        }
        let changed = adopt(wanted, &state)
        rereadFiles(&state)
        host.adopt(state.inEffect)
        let pending = LiveSetting.difference(state.inEffect, wanted)
        for (name, before, after) in pending {
            events.warning(
                .restartNeeded, "setting=\(name) from=\(quoted: before) to=\(quoted: after)")
        }
        if host.settingsAgain != nil {
            events.info(
                .settingsRead,
                "changed=\(quoted: changed.joined(separator: ", ")) pending=\(pending.count)")
        }
        shared.reloads.withLock {
            $0.successes += 1
            $0.isLastGood = true
            $0.lastGoodSeconds = Clock.unixSeconds()
            $0.pendingCount = UInt64(pending.count)
        }
        return .done(changed: changed, pending: pending.map(\.name))
    }

    /// Takes over what can change; the names of what did.
    private func adopt(_ wanted: Settings, _ state: inout State) -> [String] {
        var changed: [String] = []
        for (name, _, _) in LiveSetting.difference(state.inEffect, wanted) {
            guard let setting = SettingName(rawValue: name) else { continue }
            let isTaken = LiveSetting(shared: shared, store: store)
                .take(setting, from: wanted, into: &state.inEffect)
            if isTaken { changed.append(name) }
        }
        return changed
    }

    private func rereadFiles(_ state: inout State) {
        if shared.access.hasFile {
            if let reason = shared.access.reread(path: state.inEffect.credentialsFile) {
                events.warning(.credentialsKept, "reason=\(quoted: reason)")
            } else {
                events.info(.credentialsRead)
            }
        }
        guard let admin = state.admin else { return }
        if let reason = admin.adopt(state.inEffect.admin) {
            events.warning(.tokenKept, "reason=\(quoted: reason)")
        } else if state.inEffect.admin.tokenFile != nil {
            events.info(.tokenRead)
        }
    }
}

/// Brings one setting into effect while the server runs, if that can be.
struct LiveSetting {
    let shared: SharedState
    let store: TieredStore

    /// Copies the setting from `wanted`; false if it needs a restart.
    func take(
        _ name: SettingName, from wanted: Settings, into settings: inout Settings
    ) -> Bool {
        guard name.isReloadable else { return false }
        switch name {
        case .verbose:
            settings.verbosity = wanted.verbosity
            shared.setVerbosity(UInt64(wanted.verbosity))
        case .logFormat: settings.host.logFormat = wanted.host.logFormat
        case .idleTimeout:
            settings.idleTimeoutSeconds = wanted.idleTimeoutSeconds
            shared.tuning[.idleTimeoutSeconds] = wanted.idleTimeoutSeconds
        case .maxReqsPerEvent:
            settings.requestsPerTurnMax = wanted.requestsPerTurnMax
            shared.tuning[.requestsPerTurnMax] = wanted.requestsPerTurnMax
        case .connLimit:
            // Tables and descriptors were made for so many.
            guard wanted.connectionsMax <= shared.settings.connectionsMax else { return false }
            settings.connectionsMax = wanted.connectionsMax
            shared.tuning[.connectionsMax] = wanted.connectionsMax
        case .memoryLimit:
            let reserved = shared.settings.memoryBytes
            guard wanted.memoryBytes <= reserved,
                store.withhold(bytes: reserved - wanted.memoryBytes)
            else { return false }
            settings.memoryBytes = wanted.memoryBytes
            shared.memoryLimit = wanted.memoryBytes
        case .flushInterval:
            guard settings.store != nil, let wanted = wanted.store else { return false }
            let chosen = wanted.flushIntervalMilliseconds
            settings.store?.flushIntervalMilliseconds = chosen
            shared.tuning[.flushIntervalMilliseconds] = chosen
            store.setFlushInterval(milliseconds: chosen)
        case .drainDelay:
            settings.host.drainDelaySeconds = wanted.host.drainDelaySeconds
            shared.tuning[.drainDelaySeconds] = wanted.host.drainDelaySeconds
        case .drainTimeout:
            settings.host.drainTimeoutMilliseconds = wanted.host.drainTimeoutMilliseconds
            shared.tuning[.drainTimeoutMilliseconds] = wanted.host.drainTimeoutMilliseconds
        case .authFile:
            // Who is connected was told at the start whether to sign in.
            guard settings.authFile != nil, wanted.authFile != nil else { return false }
            settings.authFile = wanted.authFile
        case .adminTokenFile: settings.admin.tokenFile = wanted.admin.tokenFile
        case .adminHosts: settings.admin.hosts = wanted.admin.hosts
        case .adminMetricsAuth:
            settings.admin.isMetricsAuthenticated = wanted.admin.isMetricsAuthenticated
        default: return false
        }
        return true
    }

    /// The settings whose values differ, in the order of the report.
    static func difference(
        _ before: Settings, _ after: Settings
    ) -> [(name: String, before: String, after: String)] {
        let (old, new) = (values(before), values(after))
        let names = SettingName.allCases.map(\.rawValue)
        return names.compactMap { name in
            let (first, second) = (old[name] ?? "-", new[name] ?? "-")
            return first == second ? nil : (name, first, second)
        }
    }

    private static func values(_ settings: Settings) -> [String: String] {
        Dictionary(settings.values) { first, _ in first }
    }
}

extension SettingName {
    /// Whether another value may take effect while the server runs, at least some of them.
    var isReloadable: Bool {
        switch self {
        case .verbose, .logFormat, .idleTimeout, .maxReqsPerEvent, .connLimit, .memoryLimit,
            .flushInterval, .drainDelay, .drainTimeout, .authFile, .adminTokenFile, .adminHosts,
            .adminMetricsAuth:
            true
        default: false
        }
    }
}
