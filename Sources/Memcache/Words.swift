// Words: the words of one whole command line, taken one by one.
//
// Only blanks divide words, as in memcached. A word that holds a control character is still one
// word, but not a clean one: it can be no key, no number and no command.

import Primitives

/// A cursor over the words of a line; a value, used up by taking words.
struct Words: BitwiseCopyable {
    /// One word; empty at the end of the line.
    struct Word: BitwiseCopyable {
        var slice: Slice
        /// Whether it is free of control characters.
        var isClean: Bool
        var isEmpty: Bool { slice.isEmpty }
    }

    /// Where the next word is looked for.
    private(set) var position: Int
    /// Where the line ends, before its line end.
    let end: Int

    init(from start: Int, to end: Int) {
        position = start
        self.end = end
    }

    @inline(__always)
    mutating func next(_ input: Span<UInt8>) -> Word {
        while position < end, input[position] == 0x20 { position &+= 1 }
        let start = position
        var isClean = true
        // The line end, or what follows it, stops every scan at the latest.
        var stop = ByteScan.wordEnd(in: input, from: start)
        while stop < end, input[stop] != 0x20 {
            isClean = false
            stop = ByteScan.wordEnd(in: input, from: stop &+ 1)
        }
        position = min(stop, end)
        return Word(slice: Slice(start, position), isClean: isClean)
    }

    /// The last word of what is left (empty if there is none).
    mutating func last(_ input: Span<UInt8>) -> Slice {
        var last = next(input).slice
        while true {
            let word = next(input)
            guard !word.isEmpty else { return last }
            last = word.slice
        }
    }

    /// All that is left, without blanks around it.
    func rest(_ input: Span<UInt8>) -> Slice {
        var start = position
        var stop = end
        while start < stop, input[start] == 0x20 { start &+= 1 }
        while stop > start, input[stop &- 1] == 0x20 { stop &-= 1 }
        return Slice(start, stop)
    }
}
