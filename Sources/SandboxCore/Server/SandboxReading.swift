import HTTP1

extension ReceivedRequest {
  /// Copies a request out of the bytes that `head` was parsed from.
  init(_ head: borrowing RequestHead, _ bytes: Span<UInt8>, body: [UInt8]) {
    method = text(bytes, head.methodRange)
    target = text(bytes, head.target)
    self.head = copy(bytes, 0..<head.byteCount)
    self.body = body
    fields = head.fields.map { SandboxField(text(bytes, $0.name), text(bytes, $0.value)) }
  }
}

extension SandboxRequest {
  init(_ received: ReceivedRequest) {
    self.init(
      method: received.method, target: received.target, key: received.values(of: "X-Blnk-Key").first,
      forwardedPrefix: received.values(of: "X-Forwarded-Prefix").first, body: received.body)
  }
}

extension SandboxResponse {
  var keepsConnection: Bool { !fields.contains(SandboxField("Connection", "close")) }

  /// A larger body than Core takes; Go's server ends the connection behind it.
  static let bodyTooLarge = CoreRefusal.malformed("http: request body too large").answer

  /// Go's server gives it to what is no HTTP request, before Core sees it.
  static func unreadable(status: Int) -> SandboxResponse {
    SandboxResponse(
      status: status, fields: [SandboxField("Content-Type", "text/plain; charset=utf-8")],
      body: Array("\(status) not a request that is understood here".utf8))
  }
}

extension HeadFault {
  /// As Go's server answers it.
  var status: Int {
    switch self {
    case .malformed: 400
    case .targetTooLong, .headersTooLarge: 431
    case .notImplemented: 501
    case .versionUnsupported: 505
    case .expectationUnsupported: 417
    }
  }
}

func copy(_ bytes: Span<UInt8>, _ range: Range<Int>) -> [UInt8] {
  var copied: [UInt8] = []
  copied.reserveCapacity(range.count)
  for index in range { copied.append(bytes[index]) }
  return copied
}

private func text(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
  String(decoding: copy(bytes, range), as: UTF8.self)
}
