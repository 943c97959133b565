// DumpTests: what clients are told by `lru_crawler metadump` and `mgdump` where items lie in
// memory and on disk, and what it costs others if they do not read it, or leave.
//
// The whole server steps on one thread, with the store's files in memory (ListedWorld).

import Simulation
import Testing
import WholeSimulation

@Suite struct DumpTests {
    private static let count = 1600
    private static let value = String(repeating: "v", count: 14_000)

    /// Stores values of 14 KB, some with an expiry, until the first have left memory.
    private func fill(_ world: ListedWorld) throws {
        let peer = world.connect()
        for number in 0..<Self.count {
            let expiry = number % 3 == 0 ? 1000 : 0
            let set = "set k\(number) 7 \(expiry) 14000\r\n\(Self.value)\r\n"
            #expect(try world.ask(set, peer) == "STORED\r\n")
        }
        #expect(world.isOnDiskOnly("k0") && world.isOnDiskOnly("k3"))
        #expect(!world.isOnDiskOnly("k\(Self.count - 1)"))
        let completed = world.completedCommits
        while world.completedCommits < completed + 2 {
            _ = try world.ask("set last 0 0 1\r\nx\r\n", peer)
        }
        world.network.finish(peer)
    }

    private static let names = Set((0..<count).map { "k\($0)" } + ["last"])

    /// The words of a line, by their names.
    private func words(_ line: Substring) -> [Substring: Substring] {
        var words: [Substring: Substring] = [:]
        for word in line.split(separator: " ") {
            let parts = word.split(separator: "=", maxSplits: 1)
            if parts.count == 2 { words[parts[0]] = parts[1] }
        }
        return words
    }

    private func lines(_ text: String) -> [Substring] {
        text.split(whereSeparator: \.isNewline)
    }

    @Test func whatIsListedIsWhatGetsFindAlsoAfterARestart() throws {
        var world = try ListedWorld()
        try fill(world)
        for life in 0..<2 {
            let peer = world.connect()
            let text = try world.ask("lru_crawler metadump all\r\n", peer, until: "END\r\n")
            let found = lines(text).dropLast().map { words($0) }
            #expect(found.count == Self.names.count, "life \(life)")
            #expect(Set(found.compactMap { $0["key"].map(String.init) }) == Self.names)
            for item in found where item["key"] != "last" {
                let key = try #require(item["key"])
                let number = try #require(Int(key.dropFirst()))
                guard number % 97 == 0 else { continue }
                let told = try world.ask("mg \(key) c t s f\r\n", peer)
                let flags = told.split(whereSeparator: { $0 == " " || $0.isNewline })
                #expect(flags[0] == "HD" && flags[3] == "s14000" && flags[4] == "f7", "\(told)")
                #expect(flags[1].dropFirst() == item["cas"])
                let isForEver = item["exp"] == "-1"
                #expect(isForEver == (number % 3 != 0) && isForEver == (flags[2] == "t-1"))
                #expect(item["cls"] == "1" && (item["size"].flatMap { Int($0) } ?? 0) > 14_000)
            }
            let brief = try world.ask("lru_crawler mgdump hash\r\n", peer, until: "EN\r\n")
            #expect(Set(lines(brief).dropLast().map { String($0.dropFirst(3)) }) == Self.names)
            #expect(lines(brief).count == Self.names.count + 1)
            #expect(try world.ask("mn\r\n", peer) == "MN\r\n")
            if life == 0 {
                world = try ListedWorld(world)
                world.recovers = false
                let early = world.connect()
                let busy = "BUSY currently processing crawler request\r\n"
                #expect(try world.ask("lru_crawler metadump all\r\n", early) == busy)
                #expect(try world.ask("lru_crawler mgdump 1\r\n", early) == busy)
                world.recovers = true
                try world.step(1000)
            }
        }
        world.close()
    }

    @Test func aPeerThatDoesNotReadOrLeavesCostsNobodyAnything() throws {
        let world = try ListedWorld()
        try fill(world)
        let many = world.connect()
        for number in 0..<6000 {
            let key = "n\(number)-" + String(repeating: "k", count: 200)
            world.network.send("set \(key) 0 0 1 noreply\r\nx\r\n", from: many)
            if number % 100 == 0 { #expect(try world.ask("mn\r\n", many) == "MN\r\n") }
        }
        let deaf = world.connect()
        world.network.setSocketBuffer(40_000, of: deaf)
        world.network.setAppetite(0, of: deaf)
        world.network.send("lru_crawler metadump all\r\nget k1\r\n", from: deaf)
        try world.step(2000)
        #expect(world.lists.counts == (made: 1, paused: 1))
        // Others are answered in a few steps, also with a list.
        let peer = world.connect()
        world.network.send("get last\r\n", from: peer)
        try world.step(6)
        #expect(
            String(decoding: world.network.takeReceived(by: peer), as: UTF8.self)
                == "VALUE last 0 1\r\nx\r\nEND\r\n")
        let text = try world.ask("lru_crawler metadump all\r\n", peer, until: "END\r\n")
        #expect(lines(text).count == Self.names.count + 6000 + 1)
        // The deaf one gets all of it once it reads, and what it asked for behind.
        let leaver = world.connect()
        world.network.setAppetite(0, of: leaver)
        world.network.send("lru_crawler mgdump all\r\n", from: leaver)
        try world.step(200)
        #expect(world.lists.counts.made == 2)
        world.network.reset(leaver)
        try world.step(50)
        #expect(world.lists.counts.made == 1)
        world.network.setAppetite(.max, of: deaf)
        let late = try world.receive(deaf, until: "v\r\nEND\r\n")
        #expect(late.contains("END\r\nVALUE k1 7 14000\r\n"))
        #expect(lines(late).filter { $0.hasPrefix("key=") }.count == Self.names.count + 6000)
        #expect(world.lists.counts.made == 0)
        // Who reads nothing for long is closed, as any client is.
        let stubborn = world.connect()
        world.network.setAppetite(0, of: stubborn)
        world.network.send("lru_crawler metadump all\r\n", from: stubborn)
        try world.step(500)
        #expect(world.lists.counts.made == 1)
        for _ in 0..<130 {
            try world.pass(nanoseconds: 1_000_000_000)
            try world.step(2)
        }
        #expect(world.lists.counts.made == 0)
        world.close()
    }
}
