/// A response of the sandbox.
///
/// The server adds `Content-Length`, `Date` and `X-Rate-Limit-Request-Remote-Addr`, and omits the body for HEAD.
package struct SandboxResponse: Equatable, Sendable {
  package var status: Int
  package var fields: [SandboxField]
  package var body: [UInt8]

  static func json(_ status: Int, _ value: JSONValue) -> SandboxResponse {
    SandboxResponse(status: status, fields: Self.fields(type: "application/json; charset=utf-8"), body: value.bytes)
  }

  static let pageNotFound = SandboxResponse(
    status: 404, fields: Self.fields(type: "text/plain"), body: Array("404 page not found".utf8))

  /// Go's server answers `OPTIONS *` itself.
  static let serverOptions = SandboxResponse(status: 200, fields: [], body: [])

  /// Go's server rejects a target that is not a valid URL.
  static let badTarget = SandboxResponse(
    status: 400,
    fields: [SandboxField("Content-Type", "text/plain; charset=utf-8"), SandboxField("Connection", "close")],
    body: Array("400 Bad Request".utf8))

  /// Core's router redirects before its middleware runs, so there are no other fields.
  static func redirect(method: String, to location: String) -> SandboxResponse {
    let field = SandboxField("Location", location)
    guard method == "GET" else { return SandboxResponse(status: 307, fields: [field], body: []) }
    let text = #"<a href="\#(location.escapedForHTML)">Moved Permanently</a>."#
    return SandboxResponse(
      status: 301, fields: [SandboxField("Content-Type", "text/html; charset=utf-8"), field],
      body: Array("\(text)\n\n".utf8))
  }

  private static func fields(type: String) -> [SandboxField] {
    [
      SandboxField("Cache-Control", "no-store"),
      SandboxField("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
      SandboxField("Content-Type", type),
      SandboxField("Ratelimit-Limit", "5000000"),
      SandboxField("Ratelimit-Remaining", "10000000"),
      SandboxField("Ratelimit-Reset", "1"),
      SandboxField("Referrer-Policy", "strict-origin-when-cross-origin"),
      SandboxField("X-Content-Type-Options", "nosniff"),
      SandboxField("X-Frame-Options", "DENY"),
      SandboxField("X-Rate-Limit-Duration", "1"),
      SandboxField("X-Rate-Limit-Limit", "5000000.00"),
    ]
  }
}

package struct SandboxField: Equatable, Sendable {
  package let name: String
  package let value: String

  package init(_ name: String, _ value: String) {
    self.name = name
    self.value = value
  }
}

extension String {
  fileprivate var escapedForHTML: String {
    let escapes: [Character: String] = ["&": "&amp;", "<": "&lt;", ">": "&gt;", "\"": "&#34;", "'": "&#39;"]
    return reduce(into: "") { $0 += escapes[$1] ?? String($1) }
  }
}
