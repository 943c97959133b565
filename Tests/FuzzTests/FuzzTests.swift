// FuzzTests: the corpus of the fuzzer through the same entry points, without a sanitizer; and short
// random inputs, so that a target that looks at nothing would show.

import Fuzzing
import Support
import Testing

import brim

@Suite struct FuzzTests {
    @Test(arguments: FuzzTarget.allCases)
    func noInputOfTheCorpusIsComplainedOf(_ target: FuzzTarget) throws {
        let inputs = try Corpus.inputs(target.rawValue)
        #expect(!inputs.isEmpty)
        for (name, bytes) in inputs {
            let complaint = target.run(bytes)
            #expect(complaint == nil, "\(target.rawValue)/\(name)")
        }
    }

    @Test(arguments: FuzzTarget.allCases)
    func noRandomInputIsComplainedOf(_ target: FuzzTarget) {
        var chance = Chance(seed: 7)
        for _ in 0..<(target == .worker ? 10 : 400) {
            let bytes = (0..<chance.below(400)).map { _ in UInt8(chance.below(256)) }
            let complaint = target.run(bytes)
            #expect(complaint == nil, "\(target.rawValue): \(bytes)")
        }
    }

    @Test func noSettingsOfTheCorpusTrap() throws {
        let inputs = try Corpus.inputs("settings")
        var read = 0
        for (name, bytes) in inputs {
            let text = String(decoding: bytes, as: UTF8.self)
            guard let mapping = try? FlatMapping(text) else { continue }
            read += 1
            let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
            let areInside = mapping.values.allSatisfy { (1...lines.count).contains($0.line) }
            #expect(areInside, "\(name)")
        }
        #expect(read > 0)
    }
}
