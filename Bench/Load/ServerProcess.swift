// ServerProcess: the process behind a listening socket of this machine, and what it uses.
//
// Found through /proc: the socket's inode among the listening ones, then the process that holds
// it. Nothing is known of a server elsewhere, in another namespace, or of another user.

internal import Primitives
public import Uring

/// A local process that serves.
public struct ServerProcess: Equatable, Sendable {
    public let id: Int32
    /// Linux numbers no process higher.
    static let idMax: Int32 = 1 << 22

    /// A process given by its number; nil if there is none.
    public init?(id: Int32) {
        guard id > 0, id <= Self.idMax, ProcessorTime.ofProcess(id) != nil else { return nil }
        self.id = id
    }

    /// The process that listens on an address of this machine; nil if none is found. Of several
    /// that share the socket, the one that was started first has the lowest number.
    public init?(listeningOn address: SocketAddress) {
        let inodes = Self.inodes(listeningOn: address)
        guard !inodes.isEmpty else { return nil }
        let links = Set(inodes.map { "socket:[\($0)]" })
        let processes = SystemTree.names(in: "/proc").compactMap(Int32.init).sorted()
        for process in processes {
            let folder = "/proc/\(process)/fd"
            for name in SystemTree.names(in: folder) {
                guard let link = SystemTree.target(ofLink: "\(folder)/\(name)") else { continue }
                if links.contains(link) {
                    self.init(id: process)
                    return
                }
            }
        }
        return nil
    }

    /// Nanoseconds that its threads, also ended ones, were on a core since it began; nil once it
    /// is gone. The same counter as in /proc/PID/task/*/schedstat.
    public var processorNanoseconds: UInt64? { ProcessorTime.ofProcess(id) }

    /// Anonymous memory that is resident, in bytes; nil once it is gone.
    public var residentBytes: UInt64? { status("RssAnon:").map { $0 << 10 } }

    /// Threads that it has now; nil once it is gone.
    public var threadCount: UInt64? { status("Threads:") }

    /// The number that a line of /proc/PID/status begins with.
    private func status(_ name: String) -> UInt64? {
        guard let text = SystemTree.text("/proc/\(id)/status") else { return nil }
        for line in text.split(separator: "\n") where line.hasPrefix(name) {
            return line.dropFirst(name.count).split { $0 == " " || $0 == "\t" }.first
                .flatMap { UInt64($0) }
        }
        return nil
    }

    // MARK: The socket

    private static func inodes(listeningOn address: SocketAddress) -> [String] {
        guard let port = address.port else {
            return unixInodes(path: address.description)
        }
        return ["/proc/net/tcp", "/proc/net/tcp6"].flatMap { tcpInodes($0, port: port) }
    }

    /// Lines of /proc/net/tcp: number, local address:port, remote one, state (0A listens), …, the
    /// inode in tenth place.
    private static func tcpInodes(_ path: String, port: UInt16) -> [String] {
        let digits = String(port, radix: 16, uppercase: true)
        let suffix = ":" + String(repeating: "0", count: 4 - digits.count) + digits
        return rows(path).compactMap { row in
            row.count > 9 && row[3] == "0A" && row[1].hasSuffix(suffix) ? String(row[9]) : nil
        }
    }

    /// Lines of /proc/net/unix: …, flags (10000 listens), type, state, inode, path.
    private static func unixInodes(path: String) -> [String] {
        rows("/proc/net/unix").compactMap { row in
            row.count > 7 && row[7] == path && row[3] == "00010000" ? String(row[6]) : nil
        }
    }

    private static func rows(_ path: String) -> [[Substring]] {
        (SystemTree.text(path) ?? "").split(separator: "\n").map { $0.split(separator: " ") }
    }
}
