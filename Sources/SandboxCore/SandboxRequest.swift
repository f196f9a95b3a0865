/// The parts of a request that the sandbox uses.
package struct SandboxRequest: Sendable {
  package var method: String
  /// The request target (RFC 9112 §3.2) as sent.
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
