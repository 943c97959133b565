// Markup: HTML and SVG as a tree that is escaped when it is written; nothing of a layout.
//
// Texts may come from a server: they never become markup. Every element is closed, but for the
// void elements of HTML (HTML Living Standard, 13.1.2), so that SVG parts are XML as well.

/// A node of a page.
indirect enum Markup {
    case text(String)
    /// A style sheet of ours: raw text in HTML.
    case style(String)
    case element(String, [(String, String)], [Markup])

    static func tag(
        _ name: String, _ attributes: KeyValuePairs<String, String> = [:],
        _ children: [Markup] = []
    ) -> Markup {
        .element(name, attributes.map { ($0.key, $0.value) }, children)
    }

    static func tag(
        _ name: String, _ attributes: KeyValuePairs<String, String> = [:], _ text: String
    ) -> Markup {
        tag(name, attributes, [.text(text)])
    }

    private static let voidNames: Set<String> = ["meta", "br", "hr"]

    var rendered: String {
        var output = ""
        write(to: &output)
        return output
    }

    private func write(to output: inout String) {
        switch self {
        case .text(let text): output += Self.escaped(text)
        case .style(let sheet): output += "<style>\(sheet)</style>\n"
        case .element(let name, let attributes, let children):
            output += "<" + name
            for (key, value) in attributes { output += " \(key)=\"\(Self.escaped(value))\"" }
            output += ">"
            guard !Self.voidNames.contains(name) else { return }
            for child in children { child.write(to: &output) }
            output += "</\(name)>"
            if Self.blockNames.contains(name) { output += "\n" }
        }
    }

    /// Elements behind which a line ends, so that the source can be read.
    private static let blockNames: Set<String> = [
        "head", "title", "h1", "h2", "h3", "p", "tr", "section", "svg", "g", "figure", "dl",
        "header", "table", "details", "path", "ul",
    ]

    /// What is a name, a sign or a blank stays; what a browser or a terminal would obey does not.
    static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in PlainText.printable(text).unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
