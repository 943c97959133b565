// Corpus: the inputs that are kept, a file each, in a folder for each target.

import Glibc
import Support

enum Corpus {
    static func inputs(_ target: String) throws -> [(name: String, bytes: [UInt8])] {
        let folder = packageFolder.appending(path: "Tests/Fuzzing/corpus/\(target)").path
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted().map { ($0, bytes("\(folder)/\($0)")) }
    }

    private static func bytes(_ path: String) -> [UInt8] {
        guard let file = fopen(path, "r") else { return [] }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        while case let byte = fgetc(file), byte != EOF { bytes.append(UInt8(byte)) }
        return bytes
    }
}
