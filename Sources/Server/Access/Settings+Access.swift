// Settings: what they say of protocols and of signing in, as the parser takes it.

internal import Memcache

extension Settings {
    /// Whether nothing is served to who has not signed in.
    var isGuarded: Bool { authFile != nil || sasl.isEnabled }

    /// The file that says who may sign in.
    var credentialsFile: String? { authFile ?? (sasl.isEnabled ? sasl.file : nil) }

    /// A text client cannot sign in where only SASL is on, nor a binary one where it is off.
    var dialects: Dialects {
        switch protocols {
        case .ascii: return .text
        case .binary: return .binary
        case .auto:
            guard isGuarded else { return .any }
            guard sasl.isEnabled else { return .text }
            return authFile == nil ? .binary : .any
        }
    }

    func checkAccess() throws(SettingsError) {
        if sasl.isEnabled, protocols == .ascii {
            throw SettingsError(.protocol, allowed: "auto or binary with enable-sasl")
        }
        if authFile != nil, !sasl.isEnabled, protocols == .binary {
            throw SettingsError(.protocol, allowed: "auto or ascii with auth-file alone")
        }
    }
}
