import HTTP1

/// The contents of a response head.
struct ResponseFacts: Equatable, Sendable {
  var status: Int
  var reason: String
  var version: Version
  var fields: [String]
  var framing: BodyFraming
  var hasContentLength: Bool
  var keepAlive: Bool
  var byteCount: Int
}

typealias ResponseOutcome = Outcome<ResponseFacts, ResponseFault>

func parseResponse(
  _ bytes: [UInt8], answering method: Method = .get, cuts: [Int] = [], limits: HeadLimits = HeadLimits()
) -> ResponseOutcome {
  var parser = ResponseHeadParser(limits: limits)
  for end in cuts + [bytes.count] {
    do throws(ResponseFault) {
      guard try parser.parse(bytes.span.extracting(0..<end), answering: method) else { continue }
    } catch { return .fault(error) }
    return .head(ResponseFacts(parser.head, bytes))
  }
  return .needsMore
}

extension ResponseFacts {
  fileprivate init(_ head: borrowing ResponseHead, _ bytes: [UInt8]) {
    self.init(
      status: head.status, reason: text(bytes[head.reason]), version: head.version,
      fields: describe(head.fields, in: bytes), framing: head.framing, hasContentLength: head.hasContentLength,
      keepAlive: head.keepAlive, byteCount: head.byteCount)
  }
}
