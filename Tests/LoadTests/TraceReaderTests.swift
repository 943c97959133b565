// TraceReaderTests: both formats, read from files and pipes; no byte traps, faults are named.

import Glibc
import Load
import Primitives
import Testing

private func fault(_ text: String, _ format: TraceFormat? = .csv) throws -> TraceFault? {
    do {
        _ = try requests(try TraceFile(text), format)
        return nil
    } catch let fault as TraceFault {
        return fault
    }
}

@Test func aLineOfCSVIsARequest() throws {
    let file = try TraceFile("0,q:q:1:8WTfjZU14ee,17,213,4,get,0\n86400,k,300,9,c,set,600\r\n")
    let all = try requests(file)
    #expect(all.count == 2)
    #expect(all[0].time == 0)
    #expect(all[0].keyBytes == 17)
    #expect(all[0].valueBytes == 213)
    #expect(all[0].operation == .get)
    #expect(all[0].ttlSeconds == 0)
    #expect(all[1].time == 86_400)
    #expect(all[1].keyBytes == 250)
    #expect(all[1].operation == .set)
    #expect(all[1].ttlSeconds == 600)
    #expect(all[0].object != all[1].object)
}

@Test func everyOperationIsKnown() throws {
    let names = [
        "get", "gets", "set", "add", "replace", "cas", "append", "prepend", "delete", "incr",
        "decr",
    ]
    let text = names.map { "1,key,20,5,0,\($0),0\n" }.joined()
    let all = try requests(try TraceFile(text))
    #expect(all.map(\.operation.name) == names)
    #expect(Set(all.map(\.object)).count == 1)
}

@Test func aKeyMayHoldCommas() throws {
    let file = try TraceFile("5,a,b,,c,11,3,client,get,0\n5,a,b,,d,11,3,client,get,0\n")
    let all = try requests(file)
    #expect(all.map(\.valueBytes) == [3, 3])
    #expect(all[0].object != all[1].object)
}

@Test func theLastLineNeedsNoEndAndEmptyLinesAreNothing() throws {
    let all = try requests(try TraceFile("1,k,1,1,0,get,0\n\n\r\n2,k,1,1,0,get,0"))
    #expect(all.map(\.time) == [1, 2])
}

@Test func aGetOfSizeZeroHasNoSize() throws {
    let all = try requests(try TraceFile("1,k,1,0,0,get,0\n1,k,1,0,0,set,0\n"))
    #expect(all.map(\.hasSize) == [false, true])
}

@Test(arguments: [
    ("x,k,1,1,0,get,0", "timestamp"), ("-1,k,1,1,0,get,0", "timestamp"),
    ("1.5,k,1,1,0,get,0", "timestamp"), (",k,1,1,0,get,0", "timestamp"),
    ("1,,1,1,0,get,0", "key is empty"), ("1,k,,1,0,get,0", "key size"),
    ("1,k,99999,1,0,get,0", "key size"), ("1,k,1,4294967296,0,get,0", "value size"),
    ("1,k,1,x,0,get,0", "value size"), ("1,k,1,1,0,GET,0", "operation"),
    ("1,k,1,1,0,get\u{0},0", "operation"), ("1,k,1,1,0,,0", "operation"),
    ("1,k,1,1,0,get,", "TTL"), ("1,k,1,1,0,get,99999999999999999999", "TTL"),
    ("1,k,1,1,get,0", "columns"), ("1", "columns"), (",,,,,", "columns"),
])
func aBadLineIsNamed(line: String, word: String) throws {
    let fault = try fault("1,k,1,1,0,get,0\n\(line)\n")
    #expect(fault?.unit == "line")
    #expect(fault?.number == 2)
    #expect(fault?.reason.contains(word) == true, "\(fault?.reason ?? "nothing")")
}

@Test func anEndlessLineIsNamed() throws {
    let line = "1," + String(repeating: "k", count: TraceReader.lineBytesMax)
    #expect(try fault(line)?.reason.contains("longer than") == true)
    #expect(try fault(line, nil)?.number == 1)
}

@Test func aRecordIsARequest() throws {
    let bytes =
        oracleRecord(7, 0x0102_0304_0506_0708, 1000, 2)
        + oracleRecord(.max, .max, .max, .max) + oracleRecord(0, 0, 0)
    let all = try requests(try TraceFile(bytes))
    #expect(all.map(\.time) == [7, UInt64(UInt32.max), 0])
    #expect(all.map(\.object) == [0x0102_0304_0506_0708, .max, 0])
    // The size is that of key and value.
    #expect(all.map(\.objectBytes) == [1000, UInt64(UInt32.max), 16])
    #expect(all.map(\.hasSize) == [true, true, false])
    #expect(all.allSatisfy { $0.operation == .get })
}

@Test func aCutRecordIsNamed() throws {
    let bytes = oracleRecord(1, 2, 3) + oracleRecord(1, 2, 3).dropLast()
    #expect {
        _ = try requests(try TraceFile(bytes))
    } throws: { error in
        (error as? TraceFault)?.number == 2
            && "\(error)".contains("record 2: the trace ends after 23 of 24 bytes")
    }
}

@Test func formatsAreRecognised() throws {
    // A record whose first byte is a digit is none of text's.
    let bytes = oracleRecord(0x3030_3030, 0x2C2C_2C2C, 100)
    #expect(try requests(try TraceFile(bytes)).first?.object == 0x2C2C_2C2C)
    #expect(try requests(try TraceFile("1,k,1,1,0,get,0")).count == 1)
    #expect(try requests(try TraceFile("")).isEmpty)
}

/// Any bytes are requests or a fault, in either format; so is every beginning of a good trace.
@Test func noByteTraps() throws {
    var random = RandomStream(seed: 5, stream: 0)
    let good = Array("1,key,20,5,0,prepend,7\r\n22,k,3,4,c,get,0\n".utf8)
    var samples = (0...good.count).map { Array(good[..<$0]) }
    for _ in 0..<300 {
        var bytes = good
        for _ in 0..<3 {
            let place = Int(random.next(below: UInt64(bytes.count)))
            bytes[place] = UInt8(truncatingIfNeeded: random.next())
        }
        samples.append(bytes)
        samples.append(
            (0..<random.next(below: 200)).map { _ in
                UInt8(truncatingIfNeeded: random.next())
            })
    }
    for bytes in samples {
        let file = try TraceFile(bytes)
        for format in [nil, .csv, .oracle] as [TraceFormat?] {
            do {
                _ = try requests(file, format)
            } catch is TraceFault {
                continue
            }
        }
    }
}

/// Lines and records are cut anywhere where they come through a pipe.
@Test(arguments: [TraceFormat.csv, .oracle])
func aPipeIsReadAsItComes(format: TraceFormat) throws {
    let count = 500
    let bytes = (0..<count).flatMap { number in
        format == .csv
            ? Array("\(number),key\(number),20,5,0,get,0\n".utf8)
            : oracleRecord(UInt32(number), UInt64(number), 100)
    }
    var ends: [Int32] = [-1, -1]
    #expect(pipe(&ends) == 0)
    let (reading, writing) = (ends[0], ends[1])
    let threads = ThreadBox()
    threads.append(
        try Thread(name: "writer") {
            var sent = 0
            while sent < bytes.count {
                let part = Array(bytes[sent..<min(sent + 37, bytes.count)])
                guard write(writing, part, part.count) == part.count else { break }
                sent += part.count
                if sent % 500 == 0 { usleep(100) }
            }
            close(writing)
        })
    let all = try requests("/proc/self/fd/\(reading)")
    threads.joinAll()
    close(reading)
    #expect(all.map(\.time) == (0..<UInt64(count)).map { $0 })
}

@Test func aFileThatIsNotThereIsNamed() throws {
    #expect {
        _ = try TraceReader("/nonexistent/trace")
    } throws: { "\($0)".contains("'/nonexistent/trace' cannot be opened") }
}

@Test func aMadeUpTraceSaysWhenObjectsComeAgain() throws {
    let file = try TraceFile()
    defer { file.keep() }
    var recipe = TraceRecipe()
    recipe.requestCount = 3000
    recipe.objectCount = 100
    recipe.scanShare = 0.25
    recipe.scanObjectCount = 200
    recipe.rate = 100
    try TraceWriter.write(recipe, to: file.path)
    let bytes = try contents(file.path)
    #expect(bytes.count == 3000 * TraceRecord.byteCount)
    func number(_ index: Int, _ offset: Int, _ count: Int) -> UInt64 {
        (0..<count).reversed().reduce(0) { $0 << 8 | UInt64(bytes[index * 24 + offset + $1]) }
    }
    var next: [UInt64: Int64] = [:]
    var sizes: [UInt64: UInt64] = [:]
    for index in (0..<3000).reversed() {
        let object = number(index, 4, 8)
        #expect(Int64(bitPattern: number(index, 16, 8)) == next[object] ?? -1)
        next[object] = Int64(index) + 1
        let size = number(index, 12, 4)
        #expect(sizes[object] ?? size == size)
        #expect((100...10_000).contains(size))
        sizes[object] = size
        #expect(number(index, 0, 4) == UInt64(index / 100))
    }
    // A quarter of the requests scans 200 objects.
    #expect(sizes.count > 250 && sizes.count <= 300)
    // The same seed makes the same trace, another one another.
    let again = try TraceFile()
    defer { again.keep() }
    try TraceWriter.write(recipe, to: again.path)
    #expect(try contents(again.path) == bytes)
    recipe.seed = 2
    try TraceWriter.write(recipe, to: again.path)
    #expect(try contents(again.path) != bytes)
}

private func contents(_ path: String) throws -> [UInt8] {
    guard let file = fopen(path, "r") else { throw ChildError(code: errno) }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    let count = fread(&bytes, 1, bytes.count, file)
    return Array(bytes[..<count])
}
