// Router: from a request to its answer. Knows no sockets; the admin thread's.
//
// A table of paths says which methods each has and who may ask. What only looks never changes
// anything, and what changes something asks for the token.

internal import Primitives
internal import Server

struct Router {
    private let shared: SharedState
    private var token: AdminToken?
    private var hosts: HostNames
    private var isMetricsAuthenticated: Bool
    private(set) var history: History
    private var pulse = Pulse()
    /// Answers so far, by path and status.
    private var answered: [String: UInt64] = [:]

    init(_ shared: SharedState, token: AdminToken?) {
        self.shared = shared
        self.token = token
        hosts = HostNames(shared.settings.admin.hosts)
        isMetricsAuthenticated = shared.settings.admin.isMetricsAuthenticated
        history = History(shared)
        pulse.note(shared.turnCounts, at: SharedState.now().nanoseconds)
    }

    /// The file of the token was read again.
    mutating func adopt(_ token: AdminToken?) { self.token = token }

    /// Settings were read again.
    mutating func adopt(_ settings: AdminSettings) {
        hosts = HostNames(settings.hosts)
        isMetricsAuthenticated = settings.isMetricsAuthenticated
    }

    /// Once a second.
    mutating func tick() {
        let now = SharedState.now()
        history.record(at: now.systemSeconds)
        pulse.note(shared.turnCounts, at: now.nanoseconds)
    }

    /// The paths, by what may be done there and whether the token is needed.
    private enum Path: String, CaseIterable {
        case page = "/"
        case metrics = "/metrics"
        case memcached = "/metrics/memcached"
        case livez = "/livez"
        case healthz = "/healthz"
        case readyz = "/readyz"
        case now = "/api/v1/now"
        case history = "/api/v1/history"
        case config = "/api/v1/config"
        case drain = "/api/v1/drain"
        case undrain = "/api/v1/undrain"
        case reload = "/api/v1/reload"
        case flush = "/api/v1/flush"
        case log = "/api/v1/log"
        case hotKeys = "/api/v1/hotkeys"

        var isChange: Bool {
            switch self {
            case .drain, .undrain, .reload, .flush, .log: true
            default: false
            }
        }
    }

    mutating func answer(_ request: AdminRequest) -> AdminResponse {
        let response = decide(request)
        let path = Path(rawValue: request.path)?.rawValue ?? "other"
        answered["\(path) \(response.status)", default: 0] += 1
        return response
    }

    private mutating func decide(_ request: AdminRequest) -> AdminResponse {
        guard request.isLocal || hosts.accepts(request.header("host") ?? "localhost") else {
            return AdminResponse(403, "this name is not one of --admin-hosts\n")
        }
        guard let path = Path(rawValue: request.path) else {
            return AdminResponse(404, "there is nothing at this path\n")
        }
        let methods = path.isChange ? ["POST"] : ["GET", "HEAD"]
        guard methods.contains(request.method) else {
            return AdminResponse(405, "allowed: \(methods.joined(separator: ", "))\n")
                .with("Allow", methods.joined(separator: ", "))
        }
        let isMetrics = path == .metrics || path == .memcached
        let isGuarded =
            path.isChange || path == .config || path == .hotKeys
            || (isMetrics && isMetricsAuthenticated)
        if isGuarded, let refusal = refusal(request) { return refusal }
        return serve(path, request)
    }

    /// Nil for who may.
    private func refusal(_ request: AdminRequest) -> AdminResponse? {
        if request.isLocal { return nil }
        guard let token else {
            return AdminResponse(403, "no admin token is configured\n")
        }
        guard token.isNamed(by: request.header("authorization")) else {
            return AdminResponse(401, "the admin token is needed\n")
                .with("WWW-Authenticate", "Bearer")
        }
        return nil
    }

    private mutating func serve(_ path: Path, _ request: AdminRequest) -> AdminResponse {
        switch path {
        case .page: Page.response
        case .metrics:
            metrics(shared.metricFamilies(at: SharedState.now()) + [requestFamily], request)
        case .memcached: metrics(shared.memcachedFamilies(at: SharedState.now()), request)
        case .livez, .healthz: live
        case .readyz: ready(request)
        case .now: AdminResponse(200, json: nowText)
        case .history: AdminResponse(200, json: historyText)
        case .config: AdminResponse(200, json: Self.configText(shared.settingFacts()))
        case .drain: drain(from: .serving, to: .draining)
        case .undrain: drain(from: .draining, to: .serving)
        case .reload: reload
        case .flush: flush
        case .log: logLevel(request)
        case .hotKeys: hotKeys(request)
        }
    }

    // MARK: Metrics

    private func metrics(_ families: [MetricFamily], _ request: AdminRequest) -> AdminResponse {
        let form = Exposition(accept: request.header("accept"))
        var response = AdminResponse(200, "")
        response.contentType = form.contentType
        response.body = form.text(families)
        return response
    }

    /// A series for each answer that there was.
    private var requestFamily: MetricFamily {
        let samples = answered.sorted { $0.key < $1.key }.map { key, count in
            let parts = key.split(separator: " ").map(String.init)
            return MetricSample(
                labels: [
                    MetricSample.Label(name: "path", value: parts[0]),
                    MetricSample.Label(name: "code", value: parts[1]),
                ], value: .integer(count))
        }
        return MetricFamily(
            name: "brim_admin_requests", help: "Answers of the admin port.", kind: .counter,
            samples: samples)
    }

    // MARK: Health

    private var live: AdminResponse {
        let standing = pulse.standing(at: SharedState.now().nanoseconds)
        guard !standing.isEmpty else { return AdminResponse(200, "ok\n") }
        let lines = standing.map { "worker \($0.worker) stands still for \($0.seconds) s\n" }
        return AdminResponse(503, lines.joined())
    }

    private func ready(_ request: AdminRequest) -> AdminResponse {
        guard shared.phase == .serving else { return AdminResponse(503, "\(shared.phase)\n") }
        if request.asks(for: "recovered"), shared.isRecovering {
            return AdminResponse(503, "recovering\n")
        }
        if request.asks(for: "room"), shared.connectionCount >= shared.connectionsMax {
            return AdminResponse(503, "full\n")
        }
        return AdminResponse(200, "ready\n")
    }

    private func drain(from before: ServerPhase, to after: ServerPhase) -> AdminResponse {
        var text = JSONText()
        let isChanged = shared.changePhase(from: before, to: after)
        text.object {
            $0.name("state")
            $0.string("\(shared.phase)")
        }
        return AdminResponse(isChanged ? 200 : 409, json: text)
    }

    // MARK: Orders

    private var reload: AdminResponse {
        var text = JSONText()
        switch shared.reloadSettings() {
        case .nothing:
            return AdminResponse(409, json: Self.fault("there is nothing to read again"))
        case .refused(let reason):
            return AdminResponse(422, json: Self.fault(reason))
        case .done(let changed, let pending):
            text.object { text in
                for (name, items) in [("changed", changed), ("restart_needed", pending)] {
                    text.name(name)
                    text.array { text in for item in items { text.string(item) } }
                }
            }
            return AdminResponse(200, json: text)
        }
    }

    private static func fault(_ reason: String) -> JSONText {
        var text = JSONText()
        text.object { text in
            text.name("error")
            text.string(reason)
        }
        return text
    }

    private var flush: AdminResponse {
        let isDone = shared.flush()
        var text = JSONText()
        text.object { text in
            text.name("flushed")
            text.string(isDone ? "all" : "nothing: disable-flush-all")
        }
        return AdminResponse(isDone ? 200 : 409, json: text)
    }

    private static let levels = ["info", "debug", "trace"]

    private func logLevel(_ request: AdminRequest) -> AdminResponse {
        let wanted = request.query.first { $0.name == "level" }?.value ?? ""
        guard let level = Self.levels.firstIndex(of: wanted) else {
            return AdminResponse(422, "level is one of \(Self.levels.joined(separator: ", "))\n")
        }
        shared.setVerbosity(UInt64(level))
        var text = JSONText()
        text.object { text in
            text.name("level")
            text.string(wanted)
        }
        return AdminResponse(200, json: text)
    }

    private func hotKeys(_ request: AdminRequest) -> AdminResponse {
        let wanted = request.query.first { $0.name == "n" }.flatMap { Int($0.value) } ?? 10
        var text = JSONText()
        text.object { text in
            text.name("keys")
            text.array { text in
                for (key, requests) in shared.hotKeys(min(max(wanted, 1), 256)) {
                    text.object { text in
                        text.name("key")
                        text.string(key)
                        text.name("requests")
                        text.number(requests)
                    }
                }
            }
        }
        return AdminResponse(200, json: text)
    }

    // MARK: JSON

    private var nowText: JSONText {
        var text = JSONText()
        let now = SharedState.now()
        text.object { text in
            text.name("time")
            text.number(now.systemSeconds)
            text.name("state")
            text.string("\(shared.phase)")
            text.name("sample")
            text.array { text in
                if history.count > 0 {
                    for value in history.sample(history.count - 1) { text.number(value) }
                }
            }
            text.name("worker_connections")
            text.array { text in for count in shared.connectionCounts { text.number(count) } }
            text.name("metrics")
            text.object { text in
                for family in shared.metricFamilies(at: now) where family.kind != .histogram {
                    for sample in family.samples { Self.add(family, sample, to: &text) }
                }
            }
        }
        return text
    }

    private static func add(
        _ family: MetricFamily, _ sample: MetricSample, to text: inout JSONText
    ) {
        let labels = sample.labels.map { "\($0.name)=\($0.value)" }.joined(separator: ",")
        text.name(family.name + sample.suffix + (labels.isEmpty ? "" : "{\(labels)}"))
        switch sample.value {
        case .integer(let value): text.number(value)
        case .real(let value): text.number(value)
        }
    }

    private var historyText: JSONText {
        var text = JSONText()
        text.object { text in
            text.name("names")
            text.array { text in
                text.string("time")
                for name in HistorySource.names { text.string(name) }
            }
            text.name("gauges")
            text.array { text in
                for name in HistorySource.gaugeNames + HistorySource.quantileNames {
                    text.string(name)
                }
            }
            text.name("samples")
            text.array { text in
                for index in 0..<history.count {
                    text.array { text in
                        for value in history.sample(index) { text.number(value) }
                    }
                }
            }
        }
        return text
    }
}
