// ProtocolLevel: which memcached this server behaves like, for clients that look.

/// What `version` answers. Clients take it apart as x.y.z and switch features on by it; our own
/// number stands in the statistic `brim_version`.
enum ProtocolLevel {
    static let version: StaticString = "1.6.45"
    static var versionText: String { "1.6.45" }
}
