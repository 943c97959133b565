// WatchTests: who watches is told in memcached's lines, and keeps nobody.

import Memcache
import Server
import ServerSimulation
import Simulation
import Testing

@Suite struct WatchTests {
    /// What a watcher was told, without times and numbers of lines.
    private func told(_ world: World, _ peer: SimulatedNetwork.Peer) throws -> [String] {
        try world.settle()
        return world.received(peer).split(separator: "\n").map { line in
            let words = line.split(separator: " ", maxSplits: 2)
            guard words.count == 3, words[0].hasPrefix("ts="), words[1].hasPrefix("gid=") else {
                return String(line)
            }
            let kept = words[2].split(separator: " ").filter { !$0.hasPrefix("cfd=") }
            return kept.joined(separator: " ")
        }
    }

    private func watch(
        _ world: World, _ what: String, answer: String = "OK\r\n"
    ) throws -> SimulatedNetwork.Peer {
        let peer = world.connect()
        #expect(try world.ask("watch \(what)\r\n", peer) == answer)
        return peer
    }

    @Test func fetchesAreToldWithWhatWasFound() throws {
        let world = try World()
        let peer = world.connect()
        let watcher = try watch(world, "fetchers")
        _ = try world.ask(
            "set a 0 0 2\r\nhi\r\nget a none\r\nset b 0 2 1\r\nx\r\nmg Yg== b v\r\ngat 9 a\r\n",
            peer)
        #expect(
            try told(world, watcher) == [
                "type=item_get key=a status=not_found clsid=0 size=0",
                "type=item_get key=a status=found clsid=1 size=2",
                "type=item_get key=none status=not_found clsid=0 size=0",
                "type=item_get key=b status=not_found clsid=0 size=0",
                "type=item_get key=b status=found clsid=1 size=1",
                "type=item_get key=a status=found clsid=1 size=2",
            ])
        try world.pass(seconds: 3)
        _ = try world.ask("get b\r\nflush_all\r\nget b\r\n", peer)
        #expect(
            try told(world, watcher) == [
                "type=item_get key=b status=expired clsid=0 size=0",
                "type=item_get key=b status=not_found clsid=0 size=0",
            ])
    }

    @Test func changesAreToldInAllDialects() throws {
        let world = try World()
        let peer = world.connect()
        let watcher = try watch(world, "mutations deletions")
        let big = String(repeating: "v", count: 100_000)
        let huge = String(repeating: big, count: 20)
        let changes = [
            "set a 0 60 2\r\nhi", "add a 0 0 1\r\nx", "replace no 0 0 1\r\nx",
            "append a 0 0 1\r\n!", "cas a 0 0 1 1\r\nx", "cas no 0 0 1 1\r\nx",
            "set big 0 0 100000\r\n\(big)", "ms m 1 ME T9\r\nx", "set t 0 0 2000000\r\n\(huge)",
        ]
        for change in changes { _ = try world.ask(change + "\r\n", peer) }
        let lines = try told(world, watcher)
        #expect(
            lines == [
                "type=item_store key=a status=stored cmd=set ttl=60 clsid=1 size=2",
                "type=item_store key=a status=not_stored cmd=add ttl=0 clsid=1 size=1",
                "type=item_store key=no status=not_stored cmd=replace ttl=0 clsid=1 size=1",
                "type=item_store key=a status=stored cmd=append ttl=0 clsid=1 size=1",
                "type=item_store key=a status=exists cmd=cas ttl=0 clsid=1 size=1",
                "type=item_store key=no status=not_found cmd=cas ttl=0 clsid=1 size=1",
                "type=item_store key=big status=stored cmd=set ttl=0 clsid=1 size=100000",
                "type=item_store key=m status=stored cmd=add ttl=9 clsid=1 size=1",
                "type=item_store key=t status=too_large cmd=set ttl=0 clsid=1 size=2000000",
            ], "\(lines)")
        _ = try world.ask("delete a\r\ndelete a\r\nmd big I\r\nmd big\r\nmd none\r\n", peer)
        let binary = world.connect()
        let extras = [UInt8](repeating: 0, count: 8)
        world.network.send(
            Packet(0x01, key: Array("b b".utf8), value: [1, 2], extras: extras).bytes
                + Packet(0x04, key: Array("b b".utf8)).bytes, from: binary)
        #expect(
            try told(world, watcher) == [
                "type=deleted key=a cmd=delete clsid=1 size=3",
                "type=deleted key=big cmd=md clsid=1 size=100000",
                "type=item_store key=b%20b status=stored cmd=set ttl=0 clsid=1 size=2",
                "type=deleted key=b%20b cmd=delete clsid=1 size=2",
            ])
    }

    @Test func connectionsAreTold() throws {
        let world = try World(idleTimeoutSeconds: 10)
        let watcher = try watch(world, "connevents")
        _ = try world.ask("quit\r\n", world.connect())
        let lines = try told(world, watcher)
        #expect(lines.count == 2)
        #expect(lines.first?.hasPrefix("type=conn_new rip=") == true, "\(lines)")
        #expect(lines.last?.contains("type=conn_close rip=") == true, "\(lines)")
        #expect(lines.last?.contains(" reason=normal") == true, "\(lines)")
        // What cannot be told apart is the peer's fault.
        _ = try world.ask("GET / HTTP/1.1\r\n", world.connect())
        #expect(try told(world, watcher).last?.contains(" reason=error") == true)
        #expect(world.shared.total("closedByBrowser") == 1)
        #expect(world.shared.total("closedByRequest") == 1)
        _ = try world.ask("mn\r\n", world.connect())
        for _ in 0..<15 { try world.pass(seconds: 1) }
        #expect(try told(world, watcher).last?.contains("reason=idle_timeout") == true)
        #expect(!world.network.isClosed(watcher), "who watches is not idle")
    }

    @Test func aWatcherThatDoesNotReadKeepsNobodyAndIsToldWhatItMissed() throws {
        let world = try World()
        let watcher = try watch(world, "")
        let peer = world.connect()
        world.network.setAppetite(0, of: watcher)
        let key = String(repeating: "k", count: 250)
        for _ in 0..<20 {
            let asked = String(repeating: "get \(key)\r\n", count: 100)
            #expect(try world.ask(asked, peer) == String(repeating: "END\r\n", count: 100))
        }
        world.network.setAppetite(.max, of: watcher)
        let first = try told(world, watcher)
        #expect(first.count > 700 && first.count < 2000)
        #expect(try world.ask("get a\r\n", peer) == "END\r\n")
        let rest = try told(world, watcher)
        #expect(rest.first == "skipped=\(2000 - first.count)", "\(rest.first ?? "nothing")")
        #expect(rest.last == "type=item_get key=a status=not_found clsid=0 size=0")
    }

    @Test func whatAWatcherSendsIsDroppedAndItsEndIsSeen() throws {
        let world = try World()
        let watcher = try watch(world, "fetchers\r\nget a")
        let peer = world.connect()
        #expect(try world.ask("get b\r\nversion\r\n", watcher) == "")
        _ = try world.ask("get c\r\n", peer)
        #expect(
            try told(world, watcher) == ["type=item_get key=c status=not_found clsid=0 size=0"])
        world.network.finish(watcher)
        try world.settle()
        #expect(world.network.isClosed(watcher))
        #expect(try world.ask("get c\r\n", peer) == "END\r\n")
        world.orderStop()
        try world.settle()
        #expect(world.isDone)
    }

    @Test func statisticsTellHowManyWatch() throws {
        let world = try World()
        let peer = world.connect()
        func expect(_ count: Int) throws {
            let text = try world.ask("stats\r\n", peer)
            #expect(text.contains("\r\nSTAT log_watchers \(count)\r\n"), "\(text)")
        }
        try expect(0)
        let first = try watch(world, "fetchers")
        _ = try watch(world, "mutations")
        try expect(2)
        world.network.finish(first)
        try world.settle()
        try expect(1)
    }

    @Test func thereMayBeTwentyAndNoneIfRefused() throws {
        let world = try World()
        for _ in 0..<20 { _ = try watch(world, "sysevents evictions") }
        let last = try watch(
            world, "fetchers", answer: "WATCHER_TOO_MANY log watcher limit reached\r\n")
        #expect(try world.ask("mn\r\nwatch nonsense\r\n", last) == "MN\r\nERROR\r\n")
        let refusing = try World { $0.refused.insert(.watching) }
        _ = try watch(refusing, "", answer: "CLIENT_ERROR watch commands not allowed\r\n")
    }
}
