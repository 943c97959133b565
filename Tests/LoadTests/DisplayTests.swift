// DisplayTests: the live line and the sweep, as brim-bench itself shows them.

import Glibc
import Load
import Primitives
import Testing

/// Runs brim-bench from a shell, so that its two outputs can go different ways.
private func shell(_ arguments: String, _ redirections: String) throws
    -> (output: String, exitCode: Int32?)
{
    try Child("/bin/sh", ["-c", "exec \(executable) \(arguments) \(redirections)"]).finish()
}

@Suite(.serialized) struct DisplayTests {
    private let load = "--clients 2 --keys 100 --rate 200 --seconds 1.2 --warmup 1.1"

    @Test func secondsAreLinesOnStandardErrorAndTheResultIsAlone() throws {
        let server = try BadServer(serve: answering(hit))
        defer { server.end() }
        let path = "/tmp/brim-bench-\(getpid()).json"
        defer { unlink(path) }
        let result = try shell("run \(server.target.address) \(load) --json", "2>&1 >\(path)")
        #expect(result.exitCode == 0, "\(result.output)")
        let lines = result.output.split(separator: "\n")
        #expect(lines.count == 2)
        #expect(lines.first?.hasPrefix("warm-up 1 s  ") == true)
        #expect(lines.last?.hasPrefix("1 s  ") == true)
        for part in [" ops/s  p50 ", " p99 ", " us  hits 100.0 %", "  errors 0", "  server "] {
            #expect(lines.allSatisfy { $0.contains(part) }, "\(part) in \(lines)")
        }
        #expect(!result.output.contains("\u{1B}"))
        let object = try SystemTree.text(path).orThrow()
        #expect(object.hasPrefix("{\"target\""))
        #expect(object.split(separator: "\n").count == 1)
        for part in ["\"pacing\": {\"rate_asked\": 200.0", "\"kept\": true", "\"warmup\": {"] {
            #expect(object.contains(part), "\(part)")
        }
    }

    @Test func quietSaysNothing() throws {
        let server = try BadServer(serve: answering(hit))
        defer { server.end() }
        let result = try shell(
            "run \(server.target.address) \(load) --warmup 0 --quiet", "2>&1 >/dev/null")
        #expect(result.exitCode == 0)
        #expect(result.output == "")
    }

    @Test func aTerminalHasABarThatVanishes() throws {
        let server = try BadServer(serve: answering(hit))
        defer { server.end() }
        let terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY)
        #expect(terminal >= 0)
        defer { close(terminal) }
        // TIOCSPTLCK and TIOCGPTN: unlocks the other side, and asks for its number.
        var (lock, number): (Int32, UInt32) = (0, 0)
        #expect(ioctl(terminal, 0x4004_5431, &lock) == 0)
        #expect(ioctl(terminal, 0x8004_5430, &number) == 0)
        let path = "/dev/pts/\(number)"
        // Held open, so that what was written stays there when the process has ended.
        let other = open(path, O_RDWR | O_NOCTTY)
        #expect(other >= 0)
        defer { close(other) }
        var size = winsize(ws_row: 24, ws_col: 60, ws_xpixel: 0, ws_ypixel: 0)
        #expect(ioctl(other, UInt(TIOCSWINSZ), &size) == 0)
        let result = try shell("run \(server.target.address) \(load)", "2>\(path)")
        #expect(result.exitCode == 0)
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = read(terminal, &bytes, bytes.count)
        let text = String(decoding: bytes[..<max(count, 0)], as: UTF8.self)
        let updates = text.components(by: "\r\u{1B}[K")
        #expect(updates.count == 4, "\(text)")
        #expect(updates[1].hasPrefix("[###"))
        #expect(updates[1].contains("warm-up 1 s"))
        #expect(updates[2].contains("] 1 s  "))
        #expect(updates[3] == "")
        // No line is as wide as the terminal.
        #expect(updates.allSatisfy { $0.count <= 59 })
    }

    /// One connection and 5 ms a reply: 200 a second, and no more.
    @Test func aSweepFindsWhatAServerCanDo() throws {
        let server = try BadServer(
            serve: answering {
                usleep(5000)
                return hit($0)
            })
        defer { server.end() }
        let options =
            "--clients 1 --keys 100 --warmup 0 --seconds 0.2 --quiet "
            + "--p99-limit 60000"
        let words = try bench("sweep \(server.target.address) \(options) --from 20 --to 25")
        #expect(words.exitCode == 0, "\(words.output)")
        let lines = words.output.split(separator: "\n")
        #expect(lines.last?.hasPrefix("answer     ") == true, "\(words.output)")
        #expect(lines.allSatisfy { $0.count <= 100 })
        let object = try bench(
            "sweep \(server.target.address) \(options) --from 100 --to 1600 --json")
        #expect(object.exitCode == 0)
        #expect(object.output.hasPrefix("{\"target\""))
        let rate = try number("rate", in: object.output).orThrow()
        #expect(rate >= 100)
        #expect(rate < 400)
        #expect(object.output.contains("\"within_limit\": false"))
        #expect(object.output.contains("\"second_try\": true"))
    }

    @Test func aSweepWhoseLowestRateFailsSaysSo() throws {
        let server = try BadServer(serve: answering(hit))
        defer { server.end() }
        let result = try bench(
            "sweep \(server.target.address) --p99-limit 0.5 --from 50 --clients 1 --keys 100 "
                + "--seconds 0.1 --warmup 0 --quiet")
        #expect(result.exitCode == 1)
        #expect(result.output.contains("even at the lowest rate, 50"), "\(result.output)")
    }

    @Test(arguments: ["", "--rate 300"]) func badServersExitWithOneAndALine(rate: String) throws {
        let behaviours: [(String, @Sendable (String) -> String?)] = [
            ("wrong reply", { _ in "VALUE other 0 3\r\nabc\r\nEND\r\n" }),
            ("not an answer to get", { _ in "STORED\r\n" }),
            ("closed", { _ in nil }),
            ("stalled", { _ in "" }),
            ("stalled", { "VALUE \(key($0)) 0 10\r\nabc" }),
        ]
        for (name, reply) in behaviours {
            let server = try BadServer(serve: answering(reply))
            let result = try bench(
                "run \(server.target.address) --clients 2 --keys 100 --stall 0.3 --warmup 0 "
                    + "--quiet \(rate)")
            server.end()
            #expect(result.exitCode == 1)
            #expect(result.output.hasPrefix("brim-bench: "))
            #expect(result.output.contains(name), "\(result.output)")
            #expect(result.output.split(separator: "\n").count == 1)
        }
    }
}

/// The number behind a name in an object of JSON; the first one.
private func number(_ name: String, in text: String) -> Double? {
    let parts = text.components(by: "\"\(name)\": ")
    guard parts.count > 1 else { return nil }
    // The plan has a rate as well, which is null.
    for part in parts.dropFirst() {
        if let value = Double(part.prefix { $0.isNumber || $0 == "." }) { return value }
    }
    return nil
}

extension String {
    /// The parts between occurrences of a separator, also empty ones.
    fileprivate func components(by separator: String) -> [String] {
        var parts: [String] = [""]
        var rest = Substring(self)
        while !rest.isEmpty {
            if rest.utf8.starts(with: separator.utf8) {
                rest = rest.dropFirst(separator.count)
                parts.append("")
            } else {
                parts[parts.count - 1].append(rest.removeFirst())
            }
        }
        return parts
    }
}
