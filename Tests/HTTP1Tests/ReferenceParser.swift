import HTTP1

/// A simple parser of request heads over strings, the reference for the fast parser.
///
/// It needs the whole head at once and gives no reason; nil means rejected or incomplete.
struct ReferenceParser {
  let limits: HeadLimits

  func parse(_ bytes: [UInt8]) -> RequestFacts? {
    // "\r\n" is one Character, a bare CR or LF is another.
    let all = text(bytes).split(separator: "\r\n" as Character, omittingEmptySubsequences: false).map(String.init)
    let lines = Array(all.drop { $0.isEmpty })
    guard all.count - lines.count <= RequestHeadParser.emptyLinesMax, let end = lines.firstIndex(of: ""),
      end < lines.count - 1
    else { return nil }
    let fieldLines = lines[1..<end]
    let headerBytes = fieldLines.map { $0.unicodeScalars.count + 2 }.reduce(2, +)
    guard lines[0].unicodeScalars.count <= limits.requestLineBytesMax, headerBytes <= limits.headerBytesMax,
      fieldLines.count <= limits.fieldsMax, lines[0...end].allSatisfy({ $0.allSatisfy(isFieldContent) })
    else { return nil }

    guard var facts = requestLine(lines[0]) else { return nil }
    var fields: [(name: String, value: String)] = []
    for line in fieldLines {
      guard let colon = line.firstIndex(of: ":"), isToken(line[..<colon]) else { return nil }
      fields.append((String(line[..<colon]), trimmed(line[line.index(after: colon)...])))
    }
    func values(_ name: String) -> [String] { fields.filter { $0.name.lowercased() == name }.map(\.value) }

    let hosts = values("host")
    guard hosts.count == 1 || hosts.isEmpty && facts.version == .http10, hosts.allSatisfy(isAuthority),
      isHostOfTarget(facts.target, hosts.first)
    else { return nil }

    let lengths = values("content-length")
    let codings = values("transfer-encoding").map { $0.lowercased() }
    guard lengths.count + codings.count <= 1, codings.isEmpty || codings == ["chunked"] && facts.version == .http11,
      lengths.allSatisfy({ (1...18).contains($0.count) && $0.allSatisfy("0123456789".contains) })
    else { return nil }
    if let length = lengths.first.flatMap({ Int($0) }), length > 0 { facts.framing = .length(length) }
    if !codings.isEmpty { facts.framing = .chunked }
    facts.hasContentLength = !lengths.isEmpty

    let options = values("connection").flatMap(members).map { $0.lowercased() }
    guard options.count <= 64, options.allSatisfy(isToken) else { return nil }
    facts.keepAlive = !options.contains("close") && (facts.version == .http11 || options.contains("keep-alive"))
    let expectations = values("expect").map { $0.lowercased() }
    guard expectations.allSatisfy({ $0 == "100-continue" }) else { return nil }
    facts.expectsContinue = !expectations.isEmpty && facts.version == .http11 && facts.framing != .none

    let unnamed = ["close", "keep-alive", "host", "content-length", "transfer-encoding", "date"]
    let named = options.filter { !unnamed.contains($0) }
    facts.fields = fields.map { $0.name + (named.contains($0.name.lowercased()) ? "*" : "") + ":" + $0.value }
    facts.byteCount = (all.count - lines.count) * 2 + lines[0].unicodeScalars.count + 2 + headerBytes
    return facts
  }

  private func requestLine(_ line: String) -> RequestFacts? {
    let parts = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 3, isToken(parts[0]), !parts[1].isEmpty, parts[2].count == 8, parts[2].hasPrefix("HTTP/1."),
      "0123456789".contains(parts[2].suffix(1)),
      parts[1].unicodeScalars.allSatisfy({ (0x21...0x7e).contains($0.value) && $0 != "#" })
    else { return nil }
    var rest = parts[1][...]
    if parts[0] == "OPTIONS", rest == "*" { rest = "/*" }
    if let authority = authority(parts[1]) {
      guard isAuthority(authority), let scheme = rest.firstRange(of: "//") else { return nil }
      rest = rest[scheme.upperBound...].dropFirst(authority.count)
      if !rest.hasPrefix("/") { rest = "/" + rest }
    }
    guard rest.hasPrefix("/") else { return nil }
    let question = rest.firstIndex(of: "?")
    return RequestFacts(
      method: parts[0], target: parts[1],
      path: rest == "/*" && parts[1] == "*" ? "*" : String(rest[..<(question ?? rest.endIndex)]),
      query: question.map { String(rest[$0...].dropFirst()) }, version: parts[2] == "HTTP/1.0" ? .http10 : .http11,
      fields: [], framing: .none, hasContentLength: false, keepAlive: false, expectsContinue: false, byteCount: 0)
  }

  /// The part after the scheme of an absolute-form target.
  private func authority(_ target: String) -> String? {
    let lower = target.lowercased()
    guard let scheme = ["http://", "https://"].first(where: lower.hasPrefix) else { return nil }
    return String(target.dropFirst(scheme.count).prefix { $0 != "/" && $0 != "?" })
  }

  private func isHostOfTarget(_ target: String, _ host: String?) -> Bool {
    guard let host, let authority = authority(target) else { return true }
    return host.lowercased() == authority.lowercased()
  }

  private func isAuthority(_ text: String) -> Bool {
    let isAddress = text.hasPrefix("[")
    let host = isAddress ? text.prefix { $0 != "]" } + "]" : text.prefix { $0 != ":" }
    guard text.hasPrefix(host) else { return false }
    let inside = isAddress ? host.dropFirst().dropLast() : host
    let port = text.dropFirst(host.count)
    return !inside.isEmpty
      && (isAddress ? inside.allSatisfy("0123456789abcdefABCDEF:.".contains) : isRegisteredName(String(inside)))
      && (port.isEmpty || port.hasPrefix(":")) && port.count <= 6 && port.dropFirst().allSatisfy("0123456789".contains)
      && (Int(port.dropFirst()) ?? 0) <= 65535
  }

  /// RFC 3986 §3.2.2: unreserved bytes, sub-delims, and percent signs followed by two hexadecimal digits.
  private func isRegisteredName(_ name: String) -> Bool {
    let parts = name.split(separator: "%", omittingEmptySubsequences: false)
    return parts.allSatisfy { $0.allSatisfy((unreserved + "!$&'()*+,;=").contains) }
      && parts.dropFirst().allSatisfy { $0.count >= 2 && $0.prefix(2).allSatisfy(\.isHexDigit) }
  }

  private func members(_ value: String) -> [String] {
    value.split(separator: ",").map { trimmed($0) }.filter { !$0.isEmpty }
  }

  private func trimmed(_ text: some StringProtocol) -> String {
    let start = text.drop { blanks.contains($0) }
    return String(String(start.reversed().drop { blanks.contains($0) }.reversed()))
  }

  private func isToken(_ text: some StringProtocol) -> Bool {
    !text.isEmpty && text.allSatisfy { "!#$%&'*+-.^_`|~".contains($0) || letters.contains($0) }
  }

  private func isFieldContent(_ character: Character) -> Bool {
    character.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f || $0 == "\t" }
  }
}

private let blanks = " \t"
private let letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
private let unreserved = letters + "-._~"
