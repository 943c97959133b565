// PidFile: tells others which process serves (-P).

internal import Glibc
internal import Primitives

/// Why the file could not be written.
public struct PidFileError: Error, Equatable, CustomStringConvertible {
    public let path: String
    public let code: Int32
    public var description: String { "cannot write the pid file \(path): \(errorText(code))" }
}

/// A file that holds this process's number while it serves. Main thread only.
public struct PidFile: Sendable, Equatable {
    public let path: String

    /// Writes the number and a newline to `path`, replacing what is there.
    public init(writingTo path: String) throws(PidFileError) {
        self.path = path
        let code = TextFile.replace(path, with: "\(getpid())\n")
        guard code == 0 else { throw PidFileError(path: path, code: code) }
    }

    /// Removes the file; false if it could not be (after dropping privileges, often).
    @discardableResult
    public func remove() -> Bool { TextFile.remove(path) == 0 }
}
