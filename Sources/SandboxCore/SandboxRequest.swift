/// What the stand-in needs of a request.
package struct SandboxRequest: Sendable {
  package var method: String
  /// As on the request line: path and query, `*`, or an absolute URL.
  package var target: String
  /// The first `X-Blnk-Key`, as sent; nil without one.
  package var key: String?
  /// `X-Forwarded-Prefix`, which Core puts into its redirects.
  package var forwardedPrefix: String?
  package var body: [UInt8]

  package init(
    method: String, target: String, key: String? = nil, forwardedPrefix: String? = nil, body: [UInt8] = []
  ) {
    self.method = method
    self.target = target
    self.key = key
    self.forwardedPrefix = forwardedPrefix
    self.body = body
  }
}
