// Access: the credentials that hold now, and the file they are read from again on a hangup.
//
// Workers ask while they serve, the thread that waits for signals replaces what they ask. A file
// that cannot be used leaves the old credentials as they are.

internal import Primitives
internal import Synchronization

/// Who may sign in, for all threads of a server.
public final class Access: Sendable {
    private let path: String?
    /// What the file is read into: memory that is mapped is never given back.
    private let buffer: Region?
    private let credentials: Mutex<Credentials>

    /// Nobody may, and nobody need.
    public init() {
        path = nil
        buffer = nil
        credentials = Mutex(Credentials())
    }

    /// Those whom the file names; without one, nobody.
    init(path: String?) throws(CredentialsError) {
        self.path = path
        var read = Credentials()
        if let path {
            guard let region = try? Region.map(byteCount: Credentials.fileBytesMax + 1) else {
                throw CredentialsError(reason: "no memory to read it")
            }
            buffer = region
            read = try Self.read(path, region)
        } else {
            buffer = nil
        }
        let first = read
        credentials = Mutex(first)
    }

    /// Those whom a text in the form of the file names.
    public init(text: [UInt8]) {
        path = nil
        buffer = nil
        credentials = Mutex((try? Credentials(text)) ?? Credentials())
    }

    /// Reads the file again, or the one that has taken its place. Nil if all is well, or why the
    /// old credentials stay.
    func reread(path: String?) -> String? {
        guard let path, let buffer else { return nil }
        do {
            let read = try Self.read(path, buffer)
            credentials.withLock { $0 = read }
            return nil
        } catch {
            return error.reason
        }
    }

    var hasFile: Bool { path != nil }

    /// Whether others than the owner may read the file.
    var isExposed: Bool {
        path.flatMap { SmallFile.permissions($0) }.map { $0 & 0o077 != 0 } ?? false
    }

    /// Whether the user is there and this is the password; as long as the file takes.
    public func admits(user: [UInt8], password: [UInt8]) -> Bool {
        let current = credentials.withLock { $0 }
        return current.admits(user: user, password: password)
    }

    private static func read(
        _ path: String, _ region: Region
    ) throws(CredentialsError) -> Credentials {
        var code: Int32 = 0
        // What is missing says so when it is opened.
        if SmallFile.permissions(path) != nil, !SmallFile.isRegular(path) {
            throw CredentialsError(reason: "it is no regular file")
        }
        guard let source = ByteSource.open(path, code: &code) else {
            throw CredentialsError(reason: errorText(code))
        }
        defer { source.close() }
        let bytesMax = Credentials.fileBytesMax
        var filled = 0
        while filled <= bytesMax {
            let count = source.read(
                into: region, at: filled, count: bytesMax + 1 - filled, timeoutMilliseconds: 1000)
            guard count >= 0 else {
                throw CredentialsError(reason: errorText(Int32(truncatingIfNeeded: -count)))
            }
            guard count > 0 else { break }
            filled += count
        }
        guard filled <= bytesMax else {
            throw CredentialsError(reason: "it has more than \(bytesMax) bytes")
        }
        return try Credentials((0..<filled).map { region.uint8(at: $0) })
    }
}
