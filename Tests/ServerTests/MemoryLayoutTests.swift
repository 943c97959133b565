// MemoryLayoutTests: every table of docs/memory-layout.md says what the code says.
//
// UPDATE=1 in the environment writes the tables anew, to be looked at in the diff.

import Glibc
import Support
import Testing

@Suite struct MemoryLayoutTests {
    private static let page = packageFolder.appending(path: "docs/memory-layout.md").path

    @Test func everyTableIsTrue() throws {
        let before = try #require(read(), "the page cannot be read")
        var page = before
        for (name, lines) in try LayoutTables.all() {
            let opening = "<!-- table: \(name) -->\n"
            let start = try #require(page.ranges(of: opening).first?.upperBound, "\(name)")
            let end = try #require(
                page[start...].ranges(of: "<!-- end -->").first?.lowerBound, "\(name)")
            let text = lines.map { $0 + "\n" }.joined()
            if getenv("UPDATE") == nil {
                let isTrue = page[start..<end] == text
                #expect(isTrue, "\(name) should say (UPDATE=1 writes it):\n\(text)")
            }
            page.replaceSubrange(start..<end, with: text)
        }
        let tables = page.ranges(of: "<!-- table: ").count
        #expect(tables == (try LayoutTables.all().count), "a table that nothing checks")
        if getenv("UPDATE") != nil, page != before { write(page) }
    }

    private func read() -> String? {
        guard let file = fopen(Self.page, "r") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        while case let byte = fgetc(file), byte != EOF { bytes.append(UInt8(byte)) }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func write(_ text: String) {
        guard let file = fopen(Self.page, "w") else {
            Issue.record("the page cannot be written")
            return
        }
        fputs(text, file)
        fclose(file)
    }
}
