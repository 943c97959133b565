// Account: a user of this system, and becoming one.
//
// A fence around getpwnam and initgroups, whose answers are C strings in static memory. Used a
// few times at start, from the main thread, before any other thread exists.

internal import Glibc

/// A user of this system, copied out of the password database.
public struct Account: Sendable, Equatable {
    public let name: String
    public let userID: UInt32
    public let groupID: UInt32
    /// The home directory; may be empty, may not exist.
    public let home: String

    /// The user called `name`; nil if there is none. Not for use by two threads at once.
    public init?(named name: String) {
        // SAFETY: the result is read here and now, before another call can overwrite it.
        guard let entry = unsafe getpwnam(name) else { return nil }
        unsafe self.init(entry.pointee)
    }

    /// The user with this number; nil if there is none. Not for use by two threads at once.
    public init?(userID: UInt32) {
        // SAFETY: as above.
        guard let entry = unsafe getpwuid(userID) else { return nil }
        unsafe self.init(entry.pointee)
    }

    /// The user this process acts as; nil if it has no entry. Not for use by two threads at once.
    public static func current() -> Account? {
        // SAFETY: as above.
        guard let entry = unsafe getpwuid(geteuid()) else { return nil }
        return unsafe Account(entry.pointee)
    }

    private init(_ entry: passwd) {
        // SAFETY: fields of an entry are null or end in a zero byte.
        name = unsafe entry.pw_name.map { unsafe String(cString: $0) } ?? ""
        home = unsafe entry.pw_dir.map { unsafe String(cString: $0) } ?? ""
        userID = unsafe entry.pw_uid
        groupID = unsafe entry.pw_gid
    }

    /// Whether this process acts as root.
    public static var isRoot: Bool { geteuid() == 0 }

    /// Makes the whole process act as this user, for good: groups, then group, then user.
    /// Returns 0, or the errno of the step that was refused.
    public func assume() -> Int32 {
        // SAFETY: the name is lent for the call.
        guard unsafe initgroups(name, groupID) == 0 else { return errno }
        guard setgid(groupID) == 0 else { return errno }
        guard setuid(userID) == 0 else { return errno }
        return 0
    }
}
