// Privileges: stops being root once the ports are bound.

internal import Primitives

/// Why the process could not become the user that `-u` names.
public enum PrivilegesError: Error, Equatable, CustomStringConvertible {
    case noSuchUser(String)
    case refused(user: String, errno: Int32)

    public var description: String {
        switch self {
        case .noSuchUser(let user): "no user of this system is called \(user)"
        case .refused(let user, let code): "cannot become \(user): \(errorText(code))"
        }
    }
}

/// What the process may do.
public enum Privileges {
    /// Makes the process act as `user`, if it is root; otherwise does nothing. Call it from the
    /// main thread after binding and after `DescriptorLimit.raise`; there is no way back.
    /// Returns whether the user changed.
    @discardableResult
    public static func drop(to user: String) throws(PrivilegesError) -> Bool {
        guard Account.isRoot else { return false }
        guard let account = Account(named: user) else { throw .noSuchUser(user) }
        let code = account.assume()
        guard code == 0 else { throw .refused(user: user, errno: code) }
        return true
    }
}
