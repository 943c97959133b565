// OldMistakeTests: what other servers of this protocol once got wrong, and no other test is about.
//
// Lengths that lie are in MemcacheTests, commands before signing in in SignInTests, peers that read
// nothing in the tests whose names begin with Deaf.

import ServerSimulation
import Simulation
import Testing

@Suite struct OldMistakeTests {
    /// A reference for each would overflow a counter of 16 bits.
    @Test func oneKeyMayBeNamedSeventyThousandTimes() throws {
        let world = try World()
        let peer = world.connect()
        let count = 70_000
        for (bytes, count) in [(1, count), (40_000, 300)] {
            let value = String(repeating: "v", count: bytes)
            #expect(try world.ask("set k 0 0 \(bytes)\r\n\(value)\r\n", peer) == "STORED\r\n")
            let reply = try world.ask("get" + String(repeating: " k", count: count) + "\r\n", peer)
            let one = "VALUE k 0 \(bytes)\r\n".utf8.count + bytes + 2
            #expect(reply.utf8.count == count * one + "END\r\n".utf8.count)
            let asked = String(repeating: "mg k v\r\n", count: 300)
            #expect(try world.ask(asked, peer).split(separator: "\r\n").count == 600)
            // Nothing holds it any more.
            #expect(try world.ask("delete k\r\nget k\r\n", peer) == "DELETED\r\nEND\r\n")
        }
    }

    @Test func administrationTakesAnyArguments() throws {
        let world = try World()
        let peer = world.connect()
        let commands = [
            "lru", "lru mode", "lru tune", "lru temp_ttl", "slabs", "slabs reassign",
            "slabs automove", "lru_crawler", "lru_crawler crawl", "lru_crawler sleep",
            "lru_crawler tocrawl", "lru_crawler metadump", "lru_crawler mgdump", "cache_memlimit",
            "verbosity", "flush_all", "stats", "stats cachedump", "stats detail", "stats hotkeys",
            "stats items", "stats conns", "shutdown", "watch nothing", "extstore",
            "slabs automove ratio", "slabs automove window", "extstore free_memchunks",
            "extstore item_age", "extstore max_frag",
        ]
        let words = [
            "0", "1", "-1", "x", "all", "4294967295", "4294967296", "9223372036854775808",
            "18446744073709551616", "1e300", "nan", String(repeating: "9", count: 300), "\u{e9}",
        ]
        for command in commands {
            for word in words {
                for count in 0...5 {
                    let line = command + String(repeating: " " + word, count: count)
                    let reply = try world.ask(line + "\r\nmn\r\n", peer)
                    #expect(reply.hasSuffix("MN\r\n"), "\(line)")
                    // One command, one answer.
                    #expect(reply.utf8.count > 4 || line.hasPrefix("flush_all"), "\(line)")
                }
            }
        }
        #expect(try world.ask("set k 0 0 1\r\nx\r\n", peer) == "STORED\r\n")
        // Classes that memcached may have can be crawled, here in vain.
        #expect(try world.ask("lru_crawler crawl 1,2,63\r\n", peer) == "OK\r\n")
        #expect(try world.ask("lru_crawler crawl 1,64\r\n", peer).hasPrefix("BADCLASS "))
    }

    @Test func prefixesThatAreCountedAreBounded() throws {
        let world = try World()
        let peer = world.connect()
        #expect(try world.ask("stats detail on\r\n", peer) == "OK\r\n")
        for first in stride(from: 0, to: 6000, by: 500) {
            let gets = (first..<first + 500).map { "get p\($0):k\r\n" }.joined()
            #expect(try world.ask(gets, peer).utf8.count == 500 * "END\r\n".utf8.count)
        }
        let lines = try world.ask("stats detail dump\r\n", peer).split(separator: "\r\n")
        #expect(lines.count == 4096 + 1)
        #expect(lines.contains("PREFIX p0 get 1 hit 0 set 0 del 0"))
        #expect(try world.ask("stats reset\r\nstats detail dump\r\n", peer) == "RESET\r\nEND\r\n")
    }

    /// More than a turn's output has room for: listed in stretches, and as one packet cut off.
    @Test func aDumpOfLongPrefixesIsAnsweredWhole() throws {
        let world = try World()
        let peer = world.connect()
        #expect(try world.ask("stats detail on\r\n", peer) == "OK\r\n")
        let tail = String(repeating: "p", count: 230)
        for first in stride(from: 0, to: 4096, by: 64) {
            let gets = (first..<first + 64).map { "get \($0)\(tail):k\r\n" }.joined()
            #expect(try world.ask(gets, peer).utf8.count == 64 * "END\r\n".utf8.count)
        }
        let reply = try world.ask("stats detail dump\r\nmn\r\n", peer)
        #expect(reply.utf8.count > 1 << 20)
        #expect(reply.hasSuffix("END\r\nMN\r\n"))
        let lines = Set(reply.split(separator: "\r\n").map(String.init))
        #expect(lines.count == 4096 + 2)
        for number in 0..<4096 {
            #expect(lines.contains("PREFIX \(number)\(tail) get 1 hit 0 set 0 del 0"))
        }
        let binary = world.connect()
        var stat = BinaryPacket(0x10, opaque: 1)
        stat.key = Array("detail dump".utf8)
        world.network.send(stat.bytes, from: binary)
        try world.settle()
        let heard = world.network.receivedCount(by: binary)
        #expect(heard > 100 << 10)
        #expect(heard < 140 << 10)
        #expect(!world.network.isClosed(binary))
    }
}
