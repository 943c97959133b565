// Page: the live page, one document without anything from elsewhere.

/// Its answer.
enum Page {
    /// The only script and style that a browser runs for it; a test compares them with the page.
    private static let scriptHash = "sha256-ON7YtUn0sVRKcHMzSgol6MWBOIi1VZSWtE5/m/KaqFY="
    private static let styleHash = "sha256-55UrnBk6zHBWQn7SX+zd5izwY0M2DOVrsuHBtGFTnhI="

    static let response: AdminResponse = {
        var response = AdminResponse(200, "")
        response.contentType = "text/html; charset=utf-8"
        response.body = PackageResources.page_html
        let rules = [
            "default-src 'none'", "script-src '\(scriptHash)'", "style-src '\(styleHash)'",
            "connect-src 'self'", "img-src data:", "base-uri 'none'", "form-action 'none'",
            "frame-ancestors 'none'",
        ]
        response.headers = [
            ("Content-Security-Policy", rules.joined(separator: "; ")),
            ("Referrer-Policy", "no-referrer"),
        ]
        return response
    }()
}
