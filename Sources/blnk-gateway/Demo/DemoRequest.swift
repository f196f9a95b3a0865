import Bytes
import HTTP1

/// A request of the demo: its bytes, and the lines that the demo prints.
struct DemoRequest {
  let bytes: String
  private let tokens: [String]

  /// Arbitrary bytes, valid HTTP or not.
  init(raw bytes: String) {
    self.bytes = bytes
    tokens = []
  }

  /// - Parameters:
  ///   - line: method and target.
  ///   - token: the credentials after `Bearer`; nil: no Authorization.
  init(_ line: String, token: String?, _ fields: [Field] = [], body: String = "") {
    self.init(
      line,
      fields: (token.map { [("Authorization", "Bearer \($0)")] } ?? []) + fields
        + (body.isEmpty ? [] : [("Content-Type", "application/json")]),
      body: body, tokens: token.map { [$0] } ?? [])
  }

  typealias Field = (name: String, value: String)

  private init(_ line: String, fields: [Field], body: String, tokens: [String]) {
    let words = line.split(separator: " ", maxSplits: 1).map(String.init)
    let output = ByteBuffer(capacity: 1_024)
    output.append(requestLine: words[0], target: words[1])
    output.append(field: "Host", "gateway")
    for field in fields { output.append(field: field.name, text: field.value) }
    if !body.isEmpty { output.append(contentLength: body.utf8.count) }
    output.appendHeadEnd()
    output.append(text: body)
    bytes = output.withBytes { bytes in String(decoding: bytes.indices.map { bytes[$0] }, as: UTF8.self) }
    self.tokens = tokens
  }

  /// A request as Blnk's SDKs send it: with the token in place of a Core's key.
  init(_ line: String, coreKey token: String, body: String = "") {
    self.init(
      line,
      fields: [("X-Blnk-Key", token), ("Content-Type", "application/json"), ("Accept-Encoding", "gzip")], body: body,
      tokens: [token])
  }

  /// A form for the token endpoint.
  init(_ line: String, form: String, secrets: [String]) {
    self.init(line, fields: [("Content-Type", "application/x-www-form-urlencoded")], body: form, tokens: secrets)
  }

  /// The request's lines, shortened: without fields that are always the same, and with tokens truncated.
  var displayLines: [String] {
    var text = bytes
    for token in tokens where token.hasPrefix("blnk_") { text = text.replacing(token, with: "\(token.prefix(12))…") }
    let parts = text.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
    let omitted = ["Host: gateway", "Content-Type: application/json", "Accept-Encoding: gzip"]
    let head = parts[0].split(separator: "\r\n").map(String.init).filter { line in
      !omitted.contains(line) && !line.hasPrefix("Content-Length: ") || line == "Content-Length: 5242881"
    }
    let body = parts.count > 1 && !parts[1].isEmpty ? [shortened(String(parts[1]))] : []
    return head.map { $0.count > 110 ? "\($0.prefix(60))… (\($0.utf8.count) bytes)" : $0 } + body
  }
}
