// AdminEvents: what the admin port tells the log. The names are stable: docs/operating/log.md lists
// them with their fields, and a test compares.

internal import Primitives

extension Event {
    /// The admin port answers. `address`.
    static let adminReady = Event("admin.ready")
    /// A socket had stopped listening, and listens again. `address`.
    static let adminRestarted = Event("admin.restarted")
    /// It does not yet. `address`, `reason`.
    static let adminLost = Event("admin.lost")
}
