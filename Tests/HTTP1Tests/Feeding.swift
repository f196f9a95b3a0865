import HTTP1

/// A head, or the reason why there is none, as comparable values.
enum Outcome<Head: Equatable & Sendable, Fault: Equatable & Sendable>: Equatable, Sendable {
  case head(Head)
  case fault(Fault)
  case needsMore
}

/// The contents of a request head, with ranges as text.
struct RequestFacts: Equatable, Sendable {
  var method: String
  var target: String
  var path: String
  var query: String?
  var version: Version
  var fields: [String]
  var framing: BodyFraming
  var hasContentLength: Bool
  var keepAlive: Bool
  var expectsContinue: Bool
  var byteCount: Int
}

typealias RequestOutcome = Outcome<RequestFacts, HeadFault>

/// Latin-1, so that a test's text can have any byte: "\u{e9}" is the one byte 0xe9.
func latin1(_ text: String) -> [UInt8] { text.unicodeScalars.map { UInt8($0.value) } }

func text(_ bytes: some Sequence<UInt8>) -> String {
  String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
}

/// `name:value`, with a mark after a name that Connection lists.
func describe(_ fields: borrowing FieldLines, in bytes: [UInt8]) -> [String] {
  fields.map { field in
    text(bytes[field.name]) + (field.isNamedByConnection ? "*" : "") + ":" + text(bytes[field.value])
  }
}

/// Parses the prefixes of `bytes` that end at `cuts`, then all of them.
func parseRequest(_ bytes: [UInt8], cuts: [Int] = [], limits: HeadLimits = HeadLimits()) -> RequestOutcome {
  var parser = RequestHeadParser(limits: limits)
  return feed(&parser, bytes, cuts: cuts)
}

func feed(_ parser: inout RequestHeadParser, _ bytes: [UInt8], cuts: [Int] = []) -> RequestOutcome {
  for end in cuts + [bytes.count] {
    do throws(HeadFault) {
      guard try parser.parse(bytes.span.extracting(0..<end)) else { continue }
    } catch { return .fault(error) }
    return .head(RequestFacts(parser.head, bytes))
  }
  return .needsMore
}

/// The fault of a request head; nil if it is complete or incomplete.
func fault(_ head: String, limits: HeadLimits = HeadLimits()) -> HeadFault? {
  guard case .fault(let fault) = parseRequest(latin1(head), limits: limits) else { return nil }
  return fault
}

/// The contents of a request head; nil if it is rejected or incomplete.
func facts(_ head: String) -> RequestFacts? {
  guard case .head(let facts) = parseRequest(latin1(head)) else { return nil }
  return facts
}

extension RequestFacts {
  fileprivate init(_ head: borrowing RequestHead, _ bytes: [UInt8]) {
    self.init(
      method: text(bytes[head.methodRange]), target: text(bytes[head.target]), path: text(bytes[head.path]),
      query: head.query.map { text(bytes[$0]) }, version: head.version, fields: describe(head.fields, in: bytes),
      framing: head.framing, hasContentLength: head.hasContentLength, keepAlive: head.keepAlive,
      expectsContinue: head.expectsContinue, byteCount: head.byteCount)
  }
}
