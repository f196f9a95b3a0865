/// A request head as offsets into the bytes that were parsed; 0 is the first byte given to the parser.
package struct RequestHead: ~Copyable, Sendable {
  package internal(set) var method = Method.other
  package internal(set) var methodRange = 0..<0
  /// As sent: 0x21...0x7e without `#`.
  package internal(set) var target = 0..<0
  /// Starts with a slash; of an absolute-form what follows the authority. Not yet checked by `checkPath`.
  package internal(set) var path = 0..<0
  /// What follows the first question mark; nil without one.
  package internal(set) var query: Range<Int>?
  package internal(set) var version = Version.http11
  /// In the order sent. Copying this array out makes the parser's next head allocate.
  package internal(set) var fields: [FieldLine] = []
  package internal(set) var framing = BodyFraming.none
  /// Whether a Content-Length was sent; with `.none` as framing it said 0.
  package internal(set) var hasContentLength = false
  /// Whether the downstream connection persists after the answer (RFC 9112 §9.3).
  package internal(set) var keepAlive = false
  /// Whether a 100 (Continue) is waited for before a body that is announced (RFC 9110 §10.1.1).
  package internal(set) var expectsContinue = false
  /// Bytes of the whole head: empty lines before it and the empty line that ends it included.
  package internal(set) var byteCount = 0
}
