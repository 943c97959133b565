// SystemClockTests: setting the system's clock neither ends a life nor makes it longer.

import Server
import ServerSimulation
import Testing

@Suite struct SystemClockTests {
    /// - Parameter step: by how much the clock is set, in seconds.
    @Test(arguments: [7200, -7200])
    func aStepChangesNoLife(step: Int) throws {
        let world = try World()
        let peer = world.connect()
        let date = { Int(world.moment.systemSeconds) }
        _ = try world.ask("set a 0 100 1\r\n1\r\n", peer)
        _ = try world.ask("set b 0 \(date() + 100) 1\r\n1\r\n", peer)
        _ = try world.ask("set gone 0 1 1\r\n1\r\n", peer)
        try world.pass(seconds: 2)
        world.setClock(by: step)
        #expect(try world.ask("mg a t\r\n", peer) == "HD t98\r\n")
        #expect(try world.ask("mg b t\r\n", peer) == "HD t98\r\n")
        #expect(try world.ask("mg gone t\r\n", peer) == "EN\r\n")
        // A date is by the clock as it is now.
        _ = try world.ask("set c 0 \(date() + 50) 1\r\n1\r\n", peer)
        #expect(try world.ask("mg c t\r\n", peer) == "HD t50\r\n")
        _ = try world.ask("set d 0 \(date()) 1\r\n1\r\n", peer)
        #expect(try world.ask("mg d t\r\n", peer) == "EN\r\n")
        #expect(try world.ask("stats\r\n", peer).contains("STAT time \(date())\r\n"))
        let list = try world.ask("lru_crawler metadump all\r\n", peer)
        #expect(list.contains("key=c exp=\(date() + 50) "), "\(list)")
        try world.pass(seconds: 97)
        #expect(try world.ask("mg a\r\n", peer) == "HD\r\n")
        #expect(try world.ask("mg b\r\n", peer) == "HD\r\n")
        #expect(try world.ask("mg c\r\n", peer) == "EN\r\n")
        try world.pass(seconds: 1)
        #expect(try world.ask("mg a\r\n", peer) == "EN\r\n")
        #expect(try world.ask("mg b\r\n", peer) == "EN\r\n")
    }

    /// A flush that is to come: after so many seconds, or at a date.
    @Test(arguments: [false, true], [7200, -7200])
    func aStepMovesNoFlush(isDate: Bool, step: Int) throws {
        let world = try World()
        let peer = world.connect()
        let due = isDate ? Int(world.moment.systemSeconds) + 10 : 10
        _ = try world.ask("set a 0 0 1\r\n1\r\nflush_all \(due)\r\n", peer)
        world.setClock(by: step)
        try world.pass(seconds: 9)
        #expect(try world.ask("mg a\r\n", peer) == "HD\r\n")
        try world.pass(seconds: 1)
        #expect(try world.ask("mg a\r\n", peer) == "EN\r\n")
    }
}
