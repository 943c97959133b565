// SettingFacts: the settings as they are now, beside what they would be after a restart, and if
// nobody had chosen any: for operators who ask a running server.

/// One setting; `-` stands for what is not set. Files of secrets are named, never shown.
public struct SettingFact: Sendable, Equatable {
    public let name: String
    public let value: String
    /// What flags, variables and the file say together; a restart takes it.
    public let configured: String
    /// What a start takes that is told nothing.
    public let byDefault: String
    /// Whether a reload may bring another value into effect.
    public let isReloadable: Bool
}

extension SharedState {
    /// All settings, in the order of the report; and why the file, if there is one, cannot be read
    /// now: nothing is known to differ from it, then. Any thread but a worker's.
    public func settingFacts() -> (facts: [SettingFact], fault: String?) {
        let now = settingsNow
        var configured = now
        var byDefault = Settings()
        var fault: String?
        if let orders = operatorOrders {
            do { configured = try orders.configured() } catch { fault = "\(error)" }
            byDefault = (try? orders.defaults()) ?? byDefault
        }
        let wanted = Dictionary(configured.values) { first, _ in first }
        let unchosen = Dictionary(byDefault.values) { first, _ in first }
        let facts = now.values.map { name, value in
            SettingFact(
                name: name, value: value, configured: wanted[name] ?? "-",
                byDefault: unchosen[name] ?? "-",
                isReloadable: SettingName(rawValue: name)?.isReloadable ?? false)
        }
        return (facts, fault)
    }
}
