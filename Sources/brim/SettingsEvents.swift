// SettingsEvents: what the command itself tells the log. The names are stable:
// docs/operating/log.md lists them with their fields, and a test compares.

internal import Primitives

extension Event {
    /// A setting was changed, has no effect, or deserves a second look. `text`.
    static let settingsWarning = Event("settings.warning")

    /// Standard error did not take some of the log. `lines`.
    static let logDropped = Event("log.dropped")
}
