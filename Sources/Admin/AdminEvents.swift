// AdminEvents: what the admin port tells the log. The names are stable: docs/operating.md lists
// them with their fields, and a test compares.

internal import Primitives

extension Event {
    /// The admin port answers. `address`.
    static let adminReady = Event("admin.ready")
}
