// AdminPort: what the server knows of its admin port: addresses to listen on, and a way to start
// and stop whatever serves them. HTTP is another module's business, which imports this one.

public import Primitives
public import Uring

/// Where and for whom the admin port answers.
public struct AdminSettings: Sendable, Equatable {
    /// None: there is no admin port.
    public var addresses: [ListenAddress] = []
    public var unixSocketPaths: [String] = []
    /// The file of the token that changes and secrets ask for.
    public var tokenFile: String?
    /// Names accepted in `Host`, besides `localhost` and addresses.
    public var hosts: [String] = []
    /// `/metrics` asks for the token, too.
    public var isMetricsAuthenticated = false

    public init() {}
}

/// Something that serves the admin addresses.
public protocol AdminPort: Sendable {
    /// Ends all connections and returns.
    func stop()
    /// Takes over hosts, the token and who needs it; nil, or why the old token stays.
    func adopt(_ settings: AdminSettings) -> String?
}

/// Starts serving on sockets that listen already, and takes them over.
public typealias AdminStarter =
    @Sendable (_ listeners: [Listener], _ shared: SharedState, _ events: EventLog) throws
    -> any AdminPort
