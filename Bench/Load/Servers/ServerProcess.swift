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

    /// Its arguments, with blanks between them; empty if it may not be seen.
    public var commandLine: String {
        let text = SystemTree.text("/proc/\(id)/cmdline", bytesMax: 64 << 10) ?? ""
        return text.split(separator: "\0").joined(separator: " ")
    }

    /// Cores that it may run on, as the kernel lists them (`0-3,7`); empty once it is gone.
    public var cores: String { line("Cpus_allowed_list:").first ?? "" }

    /// The number that a line of /proc/PID/status begins with.
    private func status(_ name: String) -> UInt64? { line(name).first.flatMap { UInt64($0) } }

    /// The words of a line of /proc/PID/status.
    private func line(_ name: String) -> [String] {
        guard let text = SystemTree.text("/proc/\(id)/status") else { return [] }
        for line in text.split(separator: "\n") where line.hasPrefix(name) {
            return line.dropFirst(name.count).split { $0 == " " || $0 == "\t" }.map(String.init)
        }
        return []
    }

    // MARK: The socket

    /// Listeners on exactly this address, or else on all addresses with its port.
    private static func inodes(listeningOn address: SocketAddress) -> [String] {
        guard let port = address.port else {
            return unixInodes(path: address.description)
        }
        let wildcards = [hexadecimal([0]), hexadecimal([0, 0, 0, 0])]
        let rows = ["/proc/net/tcp", "/proc/net/tcp6"].flatMap { listeners($0, port: port) }
        let own = rows.filter { names(of: address).contains($0.host) }
        let all = rows.filter { wildcards.contains($0.host) }
        return (own.isEmpty ? all : own).map(\.inode)
    }

    /// How the kernel's tables write the address: words in this machine's byte order, and an
    /// IPv4 address also as the IPv6 address that stands for it.
    private static func names(of address: SocketAddress) -> [String] {
        switch address {
        case .ipv4(let bits, _):
            let word = UInt32(bigEndian: bits)
            let mark = UInt32(bigEndian: 0xFFFF)
            return [hexadecimal([word]), hexadecimal([0, 0, mark, word])]
        case .ipv6(let high, let low, _, _):
            let words = [high >> 32, high & 0xFFFF_FFFF, low >> 32, low & 0xFFFF_FFFF]
            return [hexadecimal(words.map { UInt32(bigEndian: UInt32($0)) })]
        case .unix: return []
        }
    }

    private static func hexadecimal(_ words: [UInt32]) -> String {
        words.map { word in
            let digits = String(word, radix: 16, uppercase: true)
            return String(repeating: "0", count: 8 - digits.count) + digits
        }.joined()
    }

    /// Lines of /proc/net/tcp: number, local address:port, remote one, state (0A listens), …, the
    /// inode in tenth place.
    private static func listeners(_ path: String, port: UInt16) -> [(host: String, inode: String)] {
        let digits = String(port, radix: 16, uppercase: true)
        let suffix = ":" + String(repeating: "0", count: 4 - digits.count) + digits
        return rows(path).compactMap { row in
            guard row.count > 9, row[3] == "0A", row[1].hasSuffix(suffix) else { return nil }
            return (String(row[1].dropLast(suffix.count)), String(row[9]))
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
