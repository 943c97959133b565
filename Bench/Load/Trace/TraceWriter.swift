// TraceWriter: writes a recipe's trace as oracleGeneral, to a file or a pipe.

internal import Glibc
internal import Primitives

/// A size whose logarithm is uniform between two.
enum LogarithmicSize {
    /// - Parameter unit: 0 to 1, which chooses the place between the two.
    static func draw(_ low: UInt32, _ high: UInt32, _ unit: Double) -> UInt32 {
        let (bottom, top) = (log(Double(low)), log(Double(high)))
        let size = exp(bottom + unit * (top - bottom)).rounded()
        return min(max(UInt32(size), low), high)
    }
}

/// One pass to learn when each object is asked for again, and one to write.
public enum TraceWriter {
    private static let windowBytes = 1 << 20

    /// Writes all of the trace. `path` may be `-`, for standard output.
    ///
    /// Takes 4 bytes of memory for each request and for each object.
    public static func write(_ recipe: TraceRecipe, to path: String) throws(ArgumentFault) {
        let nexts = try nextUses(recipe)
        var code: Int32 = 0
        guard let sink = ByteSink.create(path, code: &code) else { throw fault(path, code) }
        guard let window = try? Region.map(byteCount: windowBytes) else {
            throw ArgumentFault("trace: no memory for a window of \(windowBytes) bytes")
        }
        var stream = TraceRecipe.Stream(recipe)
        var filled = 0
        for index in 0..<recipe.requestCount {
            if filled + TraceRecord.byteCount > windowBytes {
                code = sink.write(window, at: 0, count: filled)
                guard code == 0 else { throw fault(path, code) }
                filled = 0
            }
            let object = stream.next()
            let next = nexts[Int(index)]
            TraceRecord.write(
                time: UInt32(truncatingIfNeeded: index / recipe.rate),
                object: recipe.number(object), bytes: recipe.bytes(object),
                next: next == 0 ? -1 : Int64(next), to: window, at: filled)
            filled += TraceRecord.byteCount
        }
        code = sink.write(window, at: 0, count: filled)
        let closed = sink.close()
        guard code == 0, closed == 0 else { throw fault(path, code == 0 ? closed : code) }
    }

    private static func fault(_ path: String, _ code: Int32) -> ArgumentFault {
        ArgumentFault("trace '\(path)' cannot be written: \(errorText(code))")
    }

    /// The number, from 1, of the request that asks for the same object again; 0 if none does.
    private static func nextUses(_ recipe: TraceRecipe) throws(ArgumentFault) -> Table<UInt32> {
        let objectCount = recipe.objectCount + (recipe.scanShare > 0 ? recipe.scanObjectCount : 0)
        guard let nexts = try? Table<UInt32>(count: Int(recipe.requestCount)),
            let lasts = try? Table<UInt32>(count: Int(objectCount))
        else { throw ArgumentFault("trace: no memory for so many requests and objects") }
        var stream = TraceRecipe.Stream(recipe)
        for index in 0..<recipe.requestCount {
            let object = Int(stream.next())
            let number = UInt32(truncatingIfNeeded: index + 1)
            if lasts[object] != 0 { nexts[Int(lasts[object]) - 1] = number }
            lasts[object] = number
        }
        return nexts
    }
}
