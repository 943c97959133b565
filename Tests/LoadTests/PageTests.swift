// PageTests: the page as a real browser shows it: titles, curves, figures, and no request.

import Glibc
import Load
import Primitives
import Report
import Testing

/// A folder of a test's own, removed with the value.
private final class Scratch {
    let folder: ScratchFolder
    var path: String { folder.path }
    init() throws { folder = try ScratchFolder(prefix: "brim-page") }
    deinit { folder.remove() }
}

/// Every number in the attributes of this name.
private func coordinates(_ attribute: String, in text: String) throws -> [Double?] {
    let pattern = try Regex(" \(attribute)=\"([^\"]*)\"", as: (Substring, Substring).self)
    return text.matches(of: pattern).flatMap { match in
        match.output.1.split { "MLZ ,".contains($0) }.map { Double($0) }
    }
}

private func isDrawn(_ document: String) throws {
    for attribute in ["d", "x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "width", "height"] {
        let numbers = try coordinates(attribute, in: document).filter { $0 != nil }
        let all = try coordinates(attribute, in: document)
        // The style of the page has no such attributes; each is a finite number.
        #expect(numbers.count == all.count, "\(attribute)")
        #expect(numbers.allSatisfy { $0?.isFinite == true && abs($0 ?? 0) < 10_000 })
    }
}

@Suite struct MarkupTests {
    @Test func everyTextIsEscaped() {
        let evil = "<script>alert('&')</script>\"onload=\"x\u{1B}[2J"
        var section = section([evil, "two"], version: evil, error: evil)
        section.title = evil
        var report = report([section, section])
        report.title = evil
        report.command = [evil]
        for text in [PageText.page(report), PageText.firstPlot(report)] {
            #expect(!text.contains("<script"))
            #expect(!text.contains("\"onload=\""))
            #expect(!text.unicodeScalars.contains { $0.value < 32 && $0 != "\n" })
        }
        #expect(
            PageText.page(report).contains(
                "&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;&quot;onload=&quot;x"))
    }

    @Test func thePageNamesNothingElse() {
        let text = PageText.page(report([section(), section()]))
        for word in ["src=", "href=", "url(", "@import", "<script", "<link", "<img", "<iframe"] {
            #expect(!text.contains(word), "\(word)")
        }
        #expect(text.contains("default-src &#39;none&#39;"))
        #expect(text.contains("prefers-color-scheme: dark"))
    }

    @Test(arguments: [0.0, 1, 1e-9, 5e17]) func everyCoordinateIsFinite(rate: Double) throws {
        try isDrawn(PageText.page(report([section(rate: rate)])))
        try isDrawn(PageText.firstPlot(report([section(rate: rate)])))
    }

    @Test func aRunWithoutAnAnswerIsAPageAsWell() throws {
        let comparison = Comparison(name: "one", outcome: Outcome())
        let section = ReportSection(
            title: "Run", plan: LoadPlan(), comparison: comparison, addresses: [""])
        try isDrawn(PageText.page(report([section])))
        #expect(PageText.firstPlot(report([section])).hasPrefix("<svg"))
    }

    @Test func plotsNameTheirAxesAndCurves() throws {
        let text = PageText.page(report([section(["brim", "other"], rate: 1e6)]))
        for word in [
            "latency, µs", "share of the requests, by 1/(1 - share)",
            "operations a second", "measured seconds, round after round", ">50 %<", ">99.99 %<",
            ">0<", "aria-label=\"Latency by percentile: brim, other\"",
        ] { #expect(text.contains(word), "\(word)") }
        // Two plots, two widths, two targets.
        #expect(text.matches(of: /<path class="curve/).count == 8)
    }

    @Test func thePlotAloneIsXML() throws {
        let scratch = try Scratch()
        let path = scratch.path + "/plot.svg"
        #expect(TextFile.replace(path, with: PageText.firstPlot(report([section()]))) == 0)
        let child = try Child(
            "/usr/bin/python3",
            [
                "-B", "-c",
                "import sys,xml.dom.minidom as m; d=m.parse(sys.argv[1]);"
                    + "print(d.documentElement.tagName, len(d.getElementsByTagName('rect')))", path,
            ])
        #expect(child.finish().output == "svg 4\n")
    }
}

@Suite(
    .enabled(if: Browser.path != nil, "chromium is not installed"),
    .enabled(if: Memcached.path != nil, "memcached is not installed"), .serialized)
struct BrowserTests {
    /// A page of a real comparison, and its results as CSV.
    private func measure(_ scratch: Scratch) throws -> (page: String, csv: [String]) {
        let (one, two) = (try Memcached(), try Memcached())
        let page = scratch.path + "/page.html"
        let result = try bench(
            "compare --target one=\(one.target.name) --target two=\(two.target.name) --rounds 2 "
                + "--seconds 0.2 --warmup 0 --keys 500 --clients 4 --mix get=9,set=1 --csv "
                + "--html \(page) --svg \(scratch.path)/plot.svg")
        #expect(result.exitCode == 0, "\(result.output)")
        return (page, result.output.split(separator: "\n").map(String.init))
    }

    /// The sixth field of the lines of a target and command.
    private func requests(of target: String, _ command: String, _ csv: [String]) -> [UInt64] {
        var found: [UInt64] = []
        for line in csv.dropFirst() {
            let fields = line.split(separator: ",")
            guard fields.count > 5, fields[2] == target, fields[4] == command else { continue }
            if let count = UInt64(fields[5]) { found.append(count) }
        }
        return found
    }

    @Test func aBrowserShowsTheWholePageAndAsksForNothing() throws {
        let scratch = try Scratch()
        let (page, csv) = try measure(scratch)
        #expect(csv.count == 1 + 2 * 2 * 2)
        let rendered = try Browser.render(page, in: scratch.path)
        let document = rendered.document
        for title in [
            "<h1>one and two</h1>", "<h2>Comparison</h2>", "Latency by percentile of get",
            "Latency by percentile of set", "Throughput over time", "What was measured, and where",
            "<title>brim-bench: one and two</title>",
        ] { #expect(document.contains(title), "\(title)") }
        try isDrawn(document)
        let curves = document.matches(of: /<path class="curve[^"]*" d="M([^"]+)"/)
        #expect(curves.count >= 8)
        #expect(curves.contains { $0.output.1.split(separator: "L").count > 10 })
        // What the table of the browser says is what was measured.
        let requests = requests(of: "one", "get", csv)
        #expect(requests.count == 2)
        let sum = NumberText.grouped(requests.reduce(0, +))
        #expect(document.contains("<td>\(sum)</td>"), "\(requests)")
        #expect(rendered.console == [])
        // The browser asks for things of its own; the page for none.
        let blank = scratch.path + "/blank.html"
        #expect(TextFile.replace(blank, with: "<!doctype html><title>x</title>") == 0)
        let own = Set(try Browser.render(blank, in: scratch.path).requests)
        #expect(Set(rendered.requests).subtracting(own) == [])
    }

    /// What the test above relies on: a request would be seen, and a refused one as well.
    @Test func aRequestWouldBeSeen() throws {
        let scratch = try Scratch()
        let page = scratch.path + "/page.html"
        let address = "http://127.0.0.1:\(try freePort())/x.png"
        #expect(TextFile.replace(page, with: "<!doctype html><img src='\(address)'>") == 0)
        #expect(try Browser.render(page, in: scratch.path).requests.contains(address))
        let policy = "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'\">"
        #expect(
            TextFile.replace(page, with: "<!doctype html>\(policy)<img src='\(address)'>") == 0)
        let refused = try Browser.render(page, in: scratch.path)
        #expect(!refused.requests.contains(address))
        #expect(refused.console.count == 1)
    }

    @Test(arguments: [(1200, 1000), (380, 800)])
    func thereIsSomethingToSee(size: (width: Int, height: Int)) throws {
        let scratch = try Scratch()
        let page = scratch.path + "/page.html"
        #expect(TextFile.replace(page, with: PageText.page(report([section()]))) == 0)
        let picture = try Browser.picture(
            page, in: scratch.path, width: size.width, height: size.height)
        #expect(picture.width == size.width)
        #expect(picture.height == size.height)
        #expect(picture.byteCount > 15_000, "\(picture)")
    }
}
